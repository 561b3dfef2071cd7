"""Which kernel parameters a container may set: those of a namespace that it has for itself, and nothing else.

``/proc/sys`` is only partly namespaced. A name that is not known to be namespaced would be set on the host
(CVE-2022-0811), so there is a list of what is allowed, as in runc, and the grammar leaves no way around it.
"""

from __future__ import annotations

from wherry.errors import InvalidParameter
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DEFAULTS: Mapping[str, str] = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}
"""Docker's defaults where the container has a network namespace (the second: and no user namespace)."""

_IPC = frozenset(
    "kernel." + name
    for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_UTS = ("kernel.hostname", "kernel.domainname")

# A path component; interface names bring in what is between a letter and a colon.
_COMPONENT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@:+-.")


class InvalidSysctl(InvalidParameter):
    """A parameter that is not the container's own, or not a parameter's name at all."""


def components(name: str) -> list[str]:
    """The path below /proc/sys, in parts. Raises InvalidSysctl for anything that could lead elsewhere.

    As sysctl(8): the first separator decides. ``net.ipv4.conf.eth0/100.rp_filter`` and
    ``net/ipv4/conf/eth0.100/rp_filter`` are the same parameter.
    """
    slash_first = "/" in name and "." not in name[: name.index("/")]
    parts = name.split("/") if slash_first else [part.replace("/", ".") for part in name.split(".")]
    if len(parts) < 2 or not all(_is_component(part) for part in parts):
        raise InvalidSysctl(f'invalid sysctl name "{_printable(name)}"')
    return parts


def _is_component(part: str) -> bool:
    return part != "" and part[0] != "." and ".." not in part and _COMPONENT.issuperset(part)


def dotted(name: str) -> str:
    """The name in its dotted form, as it stands in messages and lists."""
    return ".".join(part.replace(".", "/") for part in components(name))


def validate(sysctls: Mapping[str, str], namespaces: Collection[str], *, hostname: bool = False) -> None:
    """Refuse what is not namespaced by one of the container's own ``namespaces``.

    ``namespaces`` holds OCI types ("ipc", "network", "uts") of namespaces that are not the host's;
    ``hostname``: the specification sets one of its own. Raises InvalidSysctl with runc's text.
    """
    for name, value in sysctls.items():
        key = dotted(name)
        if any(character in value for character in "\n\0"):
            raise InvalidSysctl(f'invalid value of sysctl "{key}": it has more than one line')
        if key in _IPC or key.startswith("fs.mqueue."):
            if "ipc" not in namespaces:
                raise InvalidSysctl(f'sysctl "{key}" is not allowed in the hosts ipc namespace')
        elif key.startswith("net."):
            if "network" not in namespaces:
                raise InvalidSysctl(f'sysctl "{key}" not allowed in host network namespace')
        elif key in _UTS and "uts" in namespaces:
            if key == "kernel.hostname" and hostname:
                raise InvalidSysctl(f'sysctl "{key}" is not allowed as it conflicts with the OCI "hostname" field')
        else:
            raise InvalidSysctl(f'sysctl "{key}" is not in a separate kernel namespace')


def _printable(name: str) -> str:
    return name.encode("unicode_escape").decode("ascii")
