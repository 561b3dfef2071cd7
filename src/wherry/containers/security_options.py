"""``--security-opt``: the words that Docker knows, and nothing else (an unknown mode is refused; S82)."""

from collections.abc import Sequence
from dataclasses import dataclass

from wherry.errors import InvalidParameter


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """``seccomp``: empty for the default profile, ``unconfined``, or a profile's JSON text.
    ``no_new_privileges`` None: the engine's setting decides."""

    seccomp: str = ""
    apparmor: str = ""
    selinux_label: str = ""
    no_new_privileges: bool | None = None
    writable_cgroups: bool = False


def parse(options: Sequence[str] | None) -> SecurityOptions:
    """Read HostConfig.SecurityOpt; InvalidParameter with Docker's text."""
    seccomp = apparmor = ""
    labels: list[str] = []
    no_new_privileges: bool | None = None
    writable_cgroups = False
    for option in options or ():
        if option == "no-new-privileges":
            no_new_privileges = True
            continue
        if option == "disable":
            labels.append("disable")
            continue
        separator = "=" if "=" in option else ":"
        key, found, value = option.partition(separator)
        if not found:
            raise InvalidParameter(f'invalid --security-opt 1: "{option}"')
        if key == "label":
            labels.append(value)
        elif key == "apparmor":
            apparmor = value
        elif key == "seccomp":
            seccomp = "" if value == "builtin" else value
        elif key == "no-new-privileges":
            no_new_privileges = _boolean(value, option)
        elif key == "writable-cgroups":
            writable_cgroups = _boolean(value, option)
        else:
            raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
    return SecurityOptions(seccomp, apparmor, ",".join(labels), no_new_privileges, writable_cgroups)


def _boolean(text: str, option: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
    return text.lower() in ("true", "1", "t")
