"""Oracle M of SECURITY.md: what the host holds before and after."""

import os
import subprocess
import time
from dataclasses import dataclass, fields
from typing import Self

_SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class HostState:
    """Everything that a container engine could leave behind on a host."""

    mounts: frozenset[str]
    network_namespaces: frozenset[str]
    links: frozenset[str]
    firewall: tuple[str, ...]
    cgroups: frozenset[str]
    processes: frozenset[str]

    @classmethod
    def capture(cls) -> Self:
        """The state now."""
        return cls(
            mounts=_mounts(),
            network_namespaces=_network_namespaces(),
            links=frozenset(os.listdir("/sys/class/net")),
            firewall=_firewall(),
            cgroups=_cgroups(),
            processes=_processes(),
        )

    def differences(self, later: "HostState") -> list[str]:
        """What is more or less in ``later``, one line a thing."""
        found: list[str] = []
        for field in fields(self):
            before, after = set(getattr(self, field.name)), set(getattr(later, field.name))
            found += [f"{field.name}: left behind {thing}" for thing in sorted(after - before)]
            # Processes, namespaces and cgroups of others end when they like; mounts, links and rules do not.
            if field.name not in ("processes", "network_namespaces", "cgroups"):
                found += [f"{field.name}: missing {thing}" for thing in sorted(before - after)]
        return found

    def assert_same_as_now(self) -> None:
        """Fail with the differences. The kernel tears namespaces down in the background: wait for it, bounded."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            differences = self.differences(HostState.capture())
            if not differences:
                return
            if time.monotonic() > deadline:
                raise AssertionError("the host is not as it was:\n" + "\n".join(differences))
            time.sleep(0.05)


def _mounts() -> frozenset[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return frozenset(" ".join(line.split()[3:6]) for line in file)


def _network_namespaces() -> frozenset[str]:
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
        except OSError:
            continue  # it ended while we looked
    return frozenset(found)


def _firewall() -> tuple[str, ...]:
    listed = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True, timeout=20)
    return tuple(line for line in listed.stdout.splitlines() if "counter" not in line)


def _cgroups() -> frozenset[str]:
    found: set[str] = set()
    for base, directories, _ in os.walk("/sys/fs/cgroup"):
        found.update(os.path.join(base, name) for name in directories if "wherry" in os.path.join(base, name))
    return frozenset(found)


def _processes() -> frozenset[str]:
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                name = file.read().partition("(")[2].rpartition(")")[0]
        except OSError:
            continue  # it ended while we looked
        if "wherry" in name or "-m wherry" in command or "wherry.monitor" in command:
            found.add(f"{pid} {name}: {command}")
    return frozenset(found)
