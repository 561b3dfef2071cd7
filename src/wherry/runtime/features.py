"""What this runtime can do, for ``features`` (runtime-spec features.md)."""

from typing import Any

from wherry import __version__
from wherry.linux import capabilities
from wherry.linux.namespaces import FLAGS
from wherry.runtime.mount_options import KNOWN_OPTIONS
from wherry.security import seccomp_rules

_ACTIONS = [
    f"SCMP_ACT_{name}"
    for name in ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY", "TRACE", "TRAP")
]
_OPERATORS = [f"SCMP_CMP_{name}" for name in ("EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE")]


def features() -> dict[str, Any]:
    """The features object: about the runtime, not about the machine that it runs on."""
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.2.0",
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": list(KNOWN_OPTIONS),
        "linux": {
            "namespaces": sorted(FLAGS),
            "capabilities": list(capabilities.NAMES),
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": False},
            "seccomp": {
                "enabled": True,
                "actions": _ACTIONS,
                "operators": _OPERATORS,
                "archs": sorted(seccomp_rules.ARCHITECTURES),
                "knownFlags": sorted(seccomp_rules.FLAGS),
                "supportedFlags": sorted(seccomp_rules.FLAGS),
            },
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"wherry.version": __version__},
        "potentiallyUnsafeConfigAnnotations": [],
    }
