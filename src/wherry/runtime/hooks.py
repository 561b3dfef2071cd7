"""Hooks of config.json: programs that run at fixed points of a container's life, its state on their stdin."""

from __future__ import annotations

import os

from wherry import json_text
from wherry.linux.pidfd import pidfd_open, send_signal, wait_exited
from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure

if TYPE_CHECKING:
    from typing import Any

_SIGKILL = 9
_OUTPUT_LIMIT = 4096


def hooks_of(spec: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The spec's hooks of one kind: prestart, createRuntime, createContainer, startContainer, poststart, poststop."""
    return list((spec.get("hooks") or {}).get(kind) or ())


def container_state(spec: dict[str, Any], *, container_id: str, bundle: str, pid: int, status: str) -> dict[str, Any]:
    """The state object of the runtime specification (runtime.md "State")."""
    state: dict[str, Any] = {
        "ociVersion": spec.get("ociVersion") or "1.0.2",
        "id": container_id,
        "status": status,
        "bundle": bundle,
    }
    if pid:
        state["pid"] = pid
    if spec.get("annotations"):
        state["annotations"] = spec["annotations"]
    return state


def run_hooks(kind: str, hooks: list[dict[str, Any]], state: dict[str, Any]) -> None:
    """Run them in order. Raises RuntimeFailure at the first that fails."""
    for index, hook in enumerate(hooks):
        problem = _run_hook(hook, json_text.dumps(state).encode())
        if problem:
            raise RuntimeFailure(f"error running {kind} hook #{index}: {problem}")


def _run_hook(hook: dict[str, Any], state: bytes) -> str | None:
    """What went wrong, or None."""
    path = hook["path"]
    environment = dict(entry.split("=", 1) for entry in hook.get("env") or () if "=" in entry)
    stdin = _memory_file(state)
    output = _memory_file(b"")
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ]
        try:
            pid = os.posix_spawn(path, hook.get("args") or [path], environment, file_actions=actions)
        except OSError as exc:
            return f"exec {path}: {os.strerror(exc.errno or 0).lower()}"
        pidfd = pidfd_open(pid)
        try:
            ended = wait_exited(pidfd, hook.get("timeout"))
            if not ended:
                send_signal(pidfd, _SIGKILL)
        finally:
            os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not ended:
            return f"hook ran past specified timeout of {hook['timeout']}s"
        if code == 0:
            return None
        said = os.pread(output, _OUTPUT_LIMIT, 0).decode(errors="replace").strip()
        how = f"exit status {code}" if code > 0 else f"signal {-code}"
        return f"{how}, output: {said}" if said else how
    finally:
        os.close(stdin)
        os.close(output)


def _memory_file(content: bytes) -> int:
    fd = os.memfd_create("hook", os.MFD_CLOEXEC)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
