"""OCI ``mounts``: Docker's default mounts, the engine's files, then what the user and the image ask for.

A user's mount on a default's destination replaces it. Parents come before children.
"""

import os
from typing import Any

from wherry.containers.container import MountPoint, Record
from wherry.containers.security_options import SecurityOptions
from wherry.errors import InvalidParameter, System, Unimplemented
from wherry.linux import mountinfo

OWN_RUNTIME = "wherry"

_SHARED = ("shared", "rshared")
_SLAVE = ("slave", "rslave")


def build_mounts(
    record: Record,
    files: dict[str, str],
    image_mounts: dict[str, list[str]],
    shm_source: str,
    security: SecurityOptions,
) -> list[dict[str, Any]]:
    """Every mount of the container, in the order in which they are made."""
    host = record.host_config
    if host.runtime not in ("", OWN_RUNTIME) and any(p.subpath for p in record.mounts if p.type == "volume"):
        raise Unimplemented(
            f"mount a subpath of a volume: not with the runtime {host.runtime}",
            hint="Another runtime looks the path up anew, and a container that shares the volume can redirect it.",
        )
    user = [_mount_point(point, image_mounts) for point in record.mounts]
    user += [_tmpfs(path, options) for path, options in (host.tmpfs or {}).items()]
    taken = {entry["destination"] for entry in user}
    writable = not host.readonly_rootfs
    engine = [
        _bind(source, destination, ["rbind", "rw" if writable else "ro", "rprivate"])
        for destination, source in files.items()
    ]
    base = [*_defaults(record, shm_source, security), *engine]
    # A user's own /dev or /sys takes the place of everything below it, too.
    hidden = {path for path in taken if path in ("/dev", "/sys")}
    kept = [
        entry
        for entry in base
        if entry["destination"] not in taken
        and not any(entry["destination"].startswith(f"{path}/") for path in hidden)
    ]
    return kept + sorted(user, key=lambda entry: entry["destination"].count("/"))


def root_propagation(record: Record) -> str:
    """OCI ``rootfsPropagation``: what the strongest of the bind mounts needs, else empty (private)."""
    wanted = [point.propagation for point in record.mounts if point.type == "bind"]
    if any(word in _SHARED for word in wanted):
        return "shared"
    if any(word in _SLAVE for word in wanted):
        return "rslave"
    return ""


def _defaults(record: Record, shm_source: str, security: SecurityOptions) -> list[dict[str, Any]]:
    host = record.host_config
    access = [] if host.privileged else ["ro"]
    cgroup_access = [] if host.privileged or security.writable_cgroups else ["ro"]
    mounts = [
        _file_system("proc", "/proc", ["nosuid", "noexec", "nodev"]),
        _file_system("tmpfs", "/dev", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _file_system(
            "devpts", "/dev/pts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        _file_system("sysfs", "/sys", ["nosuid", "noexec", "nodev", *access]),
        _file_system("cgroup", "/sys/fs/cgroup", [*cgroup_access, "nosuid", "noexec", "nodev"]),
        _file_system("mqueue", "/dev/mqueue", ["nosuid", "noexec", "nodev"]),
    ]
    if shm_source:
        mounts.append(_bind(shm_source, "/dev/shm", ["rbind", "rprivate", "nosuid", "noexec", "nodev"]))
    elif host.ipc_mode != "none":
        mounts.append(
            {
                "type": "tmpfs",
                "source": "shm",
                "destination": "/dev/shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", f"size={host.shm_size}"],
            }
        )
    return mounts


def _file_system(kind: str, destination: str, options: list[str]) -> dict[str, Any]:
    return {"type": kind, "source": kind, "destination": destination, "options": options}


def _bind(source: str, destination: str, options: list[str]) -> dict[str, Any]:
    return {"type": "bind", "source": source, "destination": destination, "options": options}


def _mount_point(point: MountPoint, image_mounts: dict[str, list[str]]) -> dict[str, Any]:
    if point.type == "tmpfs":
        return _tmpfs_mount(point)
    if point.type == "image":
        layers = image_mounts[point.destination]
        if len(layers) == 1:
            return _bind(layers[0], point.destination, ["bind", "ro", "rprivate"])
        return {
            "type": "overlay",
            "source": "overlay",
            "destination": point.destination,
            "options": [
                *("ro", "redirect_dir=nofollow", "metacopy=off", "index=off"),
                *(f"lowerdir+={layer}" for layer in layers),  # one by one: a parameter has at most 255 bytes
            ],
        }
    if point.type == "volume":
        entry = _bind(point.source, point.destination, ["rbind", "rw" if point.rw else "ro", "rprivate"])
        return entry | ({"subpath": point.subpath} if point.subpath else {})
    return _bind_mount(point)


def _bind_mount(point: MountPoint) -> dict[str, Any]:
    options = point.bind_options
    if not os.path.lexists(point.source):
        if not point.create_source:
            raise InvalidParameter(
                f'invalid mount config for type "bind": bind source path does not exist: {point.source}'
            )
        _make_source(point.source)
    words = ["bind" if options and options.non_recursive else "rbind"]
    if point.rw:
        words.append("rw")
    elif options and (options.read_only_non_recursive or options.non_recursive):
        words.append("ro")
    else:
        # Docker: read-only means the whole tree, submounts too, where the kernel can (mount_setattr, 5.12).
        words += ["ro", "rro"]
    _check_propagation(point)
    words.append(point.propagation or "rprivate")
    return _bind(point.source, point.destination, words)


def _make_source(path: str) -> None:
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except OSError as exc:
        raise System(f"error while creating mount source path '{path}': mkdir {path}: {exc.strerror}") from exc


def _check_propagation(point: MountPoint) -> None:
    if point.propagation not in (*_SHARED, *_SLAVE):
        return
    path = os.path.realpath(point.source)
    found = max(
        (mount for mount in mountinfo.read() if os.path.commonpath((mount.mount_point, path)) == mount.mount_point),
        key=lambda mount: len(mount.mount_point),
    )
    kinds = {word.partition(":")[0] for word in found.propagation}
    if point.propagation in _SHARED and "shared" not in kinds:
        raise System(f"path {point.source} is mounted on {found.mount_point} but it is not a shared mount")
    if point.propagation in _SLAVE and not {"shared", "master"} & kinds:
        raise System(f"path {point.source} is mounted on {found.mount_point} but it is not a shared or slave mount")


def _tmpfs_mount(point: MountPoint) -> dict[str, Any]:
    words = ["noexec", "nosuid", "nodev"]
    options = point.tmpfs_options
    if not point.rw:
        words.append("ro")
    if options is not None:
        if options.mode:
            words.append(f"mode={options.mode:o}")
        if options.size_bytes:
            words.append(f"size={options.size_bytes}")
        words += ["=".join(option) for option in options.options or ()]
    return _file_system("tmpfs", point.destination, words)


def _tmpfs(destination: str, options: str) -> dict[str, Any]:
    words = ["noexec", "nosuid", "nodev", *filter(None, options.split(","))]
    return _file_system("tmpfs", os.path.normpath(destination), words)
