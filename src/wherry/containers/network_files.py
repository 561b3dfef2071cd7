"""/etc/hosts, /etc/hostname and /etc/resolv.conf of one container, written before every start.

They lie in the container's data directory and are bind-mounted; a container that joins another's network
namespace uses that one's files.
"""

import os
from collections.abc import Sequence

from wherry.containers.config import HostConfig
from wherry.containers.container import Record
from wherry.containers.data_dir import data_dir
from wherry.metadata.atomic_file import write_atomic
from wherry.network.resolv_conf import host_hosts_file, host_resolv_conf, hosts_file, resolv_conf
from wherry.settings import Settings

_MODE = 0o644
_HOSTS_LIMIT = 1 << 20  # the container may write to it


def write_network_files(
    settings: Settings,
    record: Record,
    *,
    addresses: Sequence[str],
    gateway: str,
    joined: Record | None,
    linked: Sequence[tuple[str, str]] = (),
) -> dict[str, str]:
    """Write the files; container path → host path. ``addresses``: the container's; ``linked``:
    more (address, names) for /etc/hosts."""
    host = record.host_config
    directory = data_dir(settings, record.id)
    files = {"/etc/hostname": f"{directory}/hostname"}
    # Not durable: a reboot ends every container, and the next start writes them again.
    write_atomic(files["/etc/hostname"], f"{record.config.hostname}\n".encode(), mode=_MODE, durable=False)
    if joined is not None:
        shared = data_dir(settings, joined.id)
        files["/etc/hostname"] = f"{shared}/hostname"
        return {**files, "/etc/hosts": f"{shared}/hosts", "/etc/resolv.conf": f"{shared}/resolv.conf"}
    files |= {"/etc/hosts": f"{directory}/hosts", "/etc/resolv.conf": f"{directory}/resolv.conf"}
    write_atomic(files["/etc/hosts"], _hosts(record, addresses, gateway, linked).encode(), mode=_MODE, durable=False)
    write_atomic(files["/etc/resolv.conf"], _resolv_conf(settings, host).encode(), mode=_MODE, durable=False)
    return files


def _hosts(record: Record, addresses: Sequence[str], gateway: str, linked: Sequence[tuple[str, str]]) -> str:
    extra = [_extra_host(entry, gateway) for entry in record.host_config.extra_hosts or ()]
    extra += linked
    if record.host_config.network_mode == "host":
        return host_hosts_file(extra)
    extra += [(address, _own_names(record)) for address in addresses]
    return hosts_file(extra)


def _own_names(record: Record) -> str:
    name = record.config.hostname
    return f"{name}.{record.config.domainname} {name}" if record.config.domainname else name


def add_host_line(settings: Settings, record: Record, address: str) -> None:
    """A running container got an address. In place: the file is bind-mounted."""
    if address:
        text = _read_hosts(settings, record)
        _rewrite_hosts(settings, record, f"{text}{'' if text.endswith(chr(10)) else chr(10)}{address}\t"
                       f"{_own_names(record)}\n")  # fmt: skip


def remove_host_lines(settings: Settings, record: Record, address: str) -> None:
    """A running container lost an address."""
    if address:
        lines = _read_hosts(settings, record).splitlines(keepends=True)
        _rewrite_hosts(settings, record, "".join(line for line in lines if line.split()[:1] != [address]))


def _read_hosts(settings: Settings, record: Record) -> str:
    with open(f"{data_dir(settings, record.id)}/hosts", encoding="utf-8", errors="surrogateescape") as file:
        return file.read(_HOSTS_LIMIT)


def _rewrite_hosts(settings: Settings, record: Record, text: str) -> None:
    path = f"{data_dir(settings, record.id)}/hosts"
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _extra_host(entry: str, gateway: str) -> tuple[str, str]:
    name, _, address = entry.partition(":")
    address = address.removeprefix("[").removesuffix("]")
    return (gateway or "127.0.0.1") if address == "host-gateway" else address, name


def _resolv_conf(settings: Settings, host: HostConfig) -> str:
    servers = host.dns or settings.dns
    search = host.dns_search or settings.dns_search
    options = host.dns_options or settings.dns_opts
    found = host_resolv_conf()
    if host.network_mode == "host" and not (servers or search or options):
        return found
    return resolv_conf(found, servers=servers, search=search, options=options)
