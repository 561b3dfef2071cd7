"""The options of the local driver: ``type``, ``device`` and ``o`` as mount(8) takes them, ``size`` refused.

Rules and texts are moby's ``volume/local``.
"""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from wherry.errors import InvalidParameter, System
from wherry.linux import mount

_OPTIONS = ("type", "device", "o", "size")
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_NETWORKED = ("nfs", "nfs4", "cifs")
_PASSWORD = re.compile(r"(?<=password=)[^,]*")

_FLAGS = {
    "ro": mount.MS_RDONLY, "nosuid": mount.MS_NOSUID, "nodev": mount.MS_NODEV, "noexec": mount.MS_NOEXEC,
    "sync": mount.MS_SYNCHRONOUS, "dirsync": mount.MS_DIRSYNC, "noatime": mount.MS_NOATIME,
    "nodiratime": mount.MS_NODIRATIME, "relatime": mount.MS_RELATIME, "strictatime": mount.MS_STRICTATIME,
    "bind": mount.MS_BIND, "rbind": mount.MS_BIND | mount.MS_REC,
}  # fmt: skip
_NO_FLAG = ("defaults", "rw", "suid", "dev", "exec", "async", "diratime", "atime", "loud")


def check_options(name: str, options: Mapping[str, str]) -> None:
    """Known keys only, ``type`` and ``device`` together; InvalidParameter otherwise."""
    for key in options:
        if key not in _OPTIONS:
            raise InvalidParameter(f'create {name}: invalid option: "{key}"')
    if options.get("size"):
        raise InvalidParameter(f"create {name}: quota size requested but no quota support")
    for key in ("device", "o", "type"):
        for needed in _NEEDS[key] if key in options else ():
            if needed not in options:
                raise InvalidParameter(f'create {name}: missing required option: "{needed}"')


@dataclass(frozen=True, slots=True)
class LocalMount:
    """What is mounted on a volume's directory: mount(2)'s arguments."""

    device: str
    kind: str
    flags: int
    data: str


def parse_mount(options: Mapping[str, str]) -> LocalMount | None:
    """The mount that the options ask for, None for a plain directory. System when a server's name has no address."""
    if not options.get("type") and not options.get("device"):
        return None
    kind, words = options.get("type", ""), options.get("o", "").split(",")
    flags, data = 0, []
    for word in filter(None, words):
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word not in _NO_FLAG:
            data.append(_resolved(word) if kind in _NETWORKED else word)
    return LocalMount(options.get("device", ""), kind, flags, ",".join(data))


def failure(wanted: LocalMount, target: str, reason: str) -> System:
    """moby's words for a mount that the kernel refuses; a password in the data is not told."""
    text = f"mount {wanted.device}:{target}"
    if wanted.flags:
        text += f", flags: {wanted.flags:#x}"
    if wanted.data:
        text += f", data: {_PASSWORD.sub('********', wanted.data)}"
    return System(f"error while mounting volume '{target}': failed to mount local volume: {text}: {reason}")


def _resolved(word: str) -> str:
    """``addr=name`` with the name's address: the kernel has no resolver."""
    key, _, host = word.partition("=")
    if key != "addr" or not host:
        return word
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise System(f"error resolving passed in network volume address: {exc.strerror}") from exc
    return f"addr={found[0][4][0]}"
