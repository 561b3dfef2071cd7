"""The container's config.json in a sealed memfd: parsed where a process is made, never kept parsed by a monitor."""

from __future__ import annotations

import os

from wherry import json_text
from wherry.linux.memfd import sealed_bytes
from wherry.monitor.protocol import PAYLOAD_LIMIT
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeAlias

Spec: TypeAlias = "dict[str, Any]"


def seal_spec(spec: Spec) -> int:
    """The engine's side: a descriptor to send along."""
    return sealed_bytes(json_text.dumps(spec).encode(), "wherry-spec")


def spec_facts(spec: Spec) -> dict[str, Any]:
    """What the monitor itself needs to know of it."""
    linux = spec.get("linux") or {}
    own = {n["type"] for n in linux.get("namespaces") or [] if not n.get("path")}
    return {
        "cgroups_path": linux.get("cgroupsPath"),
        "own_pid_namespace": "pid" in own,
        "own_user_namespace": "user" in own,
    }


class ContainerSpec:
    """Owns ``fd``. Limits that ``update`` changed are applied to what :meth:`load` gives."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._updates: list[dict[str, Any]] = []

    def load(self) -> Spec:
        """A fresh copy. Raises ValueError for something that is no JSON."""
        size = os.fstat(self._fd).st_size
        if size > PAYLOAD_LIMIT:
            raise ValueError(f"config.json of {size} bytes")
        spec: Spec = json_text.loads(os.pread(self._fd, size, 0).decode())
        resources = spec.setdefault("linux", {}).setdefault("resources", {})
        for update in self._updates:
            for key, value in update.items():
                if isinstance(value, dict):
                    resources.setdefault(key, {}).update(value)
                else:
                    resources[key] = value
        # The monitor's own value is lower than any container's (R36) and would be inherited.
        spec["process"].setdefault("oomScoreAdj", 0)
        return spec

    def update(self, resources: dict[str, Any]) -> None:
        """Remember changed limits for restarts."""
        self._updates.append(resources)
