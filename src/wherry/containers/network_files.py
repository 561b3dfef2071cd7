"""/etc/hosts, /etc/hostname and /etc/resolv.conf of one container, written before every start.

They lie in the container's data directory and are bind-mounted; a container that joins another's network
namespace uses that one's files.
"""

from collections.abc import Sequence

from wherry.containers.config import HostConfig
from wherry.containers.container import Record
from wherry.containers.data_dir import data_dir
from wherry.metadata.atomic_file import write_atomic
from wherry.network.resolv_conf import host_hosts_file, host_resolv_conf, hosts_file, resolv_conf
from wherry.settings import Settings

_MODE = 0o644


def write_network_files(
    settings: Settings,
    record: Record,
    *,
    address: str,
    gateway: str,
    joined: Record | None,
    linked: Sequence[tuple[str, str]] = (),
) -> dict[str, str]:
    """Write the files; container path → host path. ``address``: the container's, empty when it has none; ``linked``:
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
    write_atomic(files["/etc/hosts"], _hosts(record, address, gateway, linked).encode(), mode=_MODE, durable=False)
    write_atomic(files["/etc/resolv.conf"], _resolv_conf(settings, host).encode(), mode=_MODE, durable=False)
    return files


def _hosts(record: Record, address: str, gateway: str, linked: Sequence[tuple[str, str]]) -> str:
    extra = [_extra_host(entry, gateway) for entry in record.host_config.extra_hosts or ()]
    extra += linked
    if record.host_config.network_mode == "host":
        return host_hosts_file(extra)
    if address:
        names = record.config.hostname
        if record.config.domainname:
            names = f"{record.config.hostname}.{record.config.domainname} {names}"
        extra.append((address, names))
    return hosts_file(extra)


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
