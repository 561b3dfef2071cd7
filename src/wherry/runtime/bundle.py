"""A container of ``wherry-runtime``: from a bundle to a saved state, its init waiting for the start."""

from __future__ import annotations

import os
import time

from wherry import json_text
from wherry.errors import InvalidParameter
from wherry.linux import sockets
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime import cgroups, state
from wherry.runtime.create import Created, check_supported, create_container
from wherry.runtime.failure import SpecInvalid
from wherry.runtime.hooks import hooks_of
from wherry.runtime.state import ContainerState

if TYPE_CHECKING:
    from typing import Any


class CreateOptions(NamedTuple):
    """The options that ``create`` and ``run`` share."""

    bundle: str = "."
    console_socket: str | None = None
    pid_file: str | None = None
    pivot: bool = True
    new_keyring: bool = True
    preserve_fds: int = 0


def load_spec(bundle: str) -> dict[str, Any]:
    """Read and check config.json. Raises InvalidParameter or SpecInvalid."""
    path = f"{bundle}/config.json"
    try:
        with open(path, encoding="utf-8") as file:
            spec = json_text.loads(file.read())
    except FileNotFoundError:
        raise InvalidParameter(f"JSON specification file {path} not found") from None
    except ValueError as exc:
        raise SpecInvalid(f"read {path}: {exc}") from exc
    if not isinstance(spec, dict):
        raise SpecInvalid(f"read {path}: not a JSON object")
    version = str(spec.get("ociVersion") or "")
    if version.split(".")[0] != "1":
        raise SpecInvalid(f'ociVersion "{version}" is not supported: this runtime reads 1.x')
    check_supported(spec)
    return spec


def create_from_bundle(
    root: str, container_id: str, options: CreateOptions, *, stdio: tuple[int, int, int] | None = None
) -> tuple[ContainerState, Created]:
    """Create a container whose init waits on ``start.sock`` of its state. Nothing is left behind on an error."""
    bundle = os.path.abspath(options.bundle)
    spec = load_spec(bundle)
    terminal = bool(spec["process"].get("terminal"))
    if options.console_socket and not terminal:
        raise InvalidParameter("cannot use console socket if runc will not detach or allocate tty")
    directory = state.make_directory(root, container_id)
    held = None
    try:
        linux = spec["linux"]
        held = cgroups.create(
            linux.get("cgroupsPath"), container_id=container_id, resources=linux.get("resources"), devices=False
        )
        listener = sockets.listen(f"{directory}/start.sock", sockets.SOCK_SEQPACKET)
        try:
            created = create_container(
                spec,
                bundle=bundle,
                container_id=container_id,
                cgroups=held,
                stdio=stdio,
                console_socket=options.console_socket,
                start_listener=listener,
                new_keyring=options.new_keyring,
                preserve_fds=options.preserve_fds,
                pivot=options.pivot,
            )
        finally:
            listener.close()
        try:
            # Device rules come after the nodes were made: a node may be there that may not be used.
            held.apply({"devices": (linux.get("resources") or {}).get("devices") or []})
            kept = _save(directory, container_id, bundle, spec, created, held, options)
            if options.pid_file:
                write_pid_file(options.pid_file, created.pid)
        except BaseException:
            created.kill()
            raise
    except BaseException:
        if held is not None:
            held.delete()
        state.remove_directory(directory)
        raise
    finally:
        if held is not None:
            held.close()
    return kept, created


def _save(
    directory: str,
    container_id: str,
    bundle: str,
    spec: dict[str, Any],
    created: Created,
    held: cgroups.Cgroups,
    options: CreateOptions,
) -> ContainerState:
    kept = ContainerState(
        container_id=container_id,
        bundle=bundle,
        rootfs=os.path.join(bundle, (spec.get("root") or {}).get("path") or "rootfs"),
        pid=created.pid,
        start_time=state.process_start_time(created.pid) or 0,
        created=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z",
        cgroups=held.save(),
        annotations=spec.get("annotations") or {},
        oci_version=spec["ociVersion"],
        hooks={kind: hooks for kind in ("poststart", "poststop") if (hooks := hooks_of(spec, kind))},
        new_keyring=options.new_keyring,
        directory=directory,
    )
    with open(f"{directory}/config.json", "w", encoding="utf-8") as file:
        file.write(json_text.dumps(spec))
    kept.save()
    return kept


def write_pid_file(path: str, pid: int) -> None:
    """Whole or absent."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}")
    with open(temporary, "w", encoding="ascii") as file:
        file.write(str(pid))
    os.rename(temporary, path)
