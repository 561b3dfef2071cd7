"""What is mounted into a container: Binds, Mounts, VolumesFrom, Tmpfs and the image's VOLUMEs become MountPoints.

Parsing has no side effects; ``create.py`` makes the volumes afterwards. Order and precedence are moby's
``daemon/volumes.go`` (registerMountPoints): later ones of that list win over VolumesFrom, the image's come last.
"""

import posixpath
from collections.abc import Mapping

from wherry.containers.config import ContainerConfig, HostConfig, Mount
from wherry.containers.container import MountPoint
from wherry.containers.store import Registry
from wherry.errors import InvalidParameter
from wherry.volumes import mount_spec
from wherry.volumes.local import DRIVER

_FORBIDDEN_IMAGE_VOLUMES = ("/", "/proc", "/sys")
# Mounting over these would hide what the engine puts there to contain the process (S42); lxcfs's files are harmless.
_PROC_ALLOWED = frozenset(
    f"/proc/{name}" for name in ("cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime")
)


def collect(config: ContainerConfig, host: HostConfig, registry: Registry) -> list[MountPoint]:
    """All mount points, each destination once. Raises InvalidParameter with Docker's text."""
    points: dict[str, MountPoint] = {}
    for entry in host.volumes_from or ():
        for point in _volumes_from(entry, registry):
            points[point.destination] = point
    own: set[str] = set()
    for spec in host.binds or ():
        _add(points, own, _bind(spec, host.volume_driver))
    for mount in host.mounts or ():
        _add(points, own, _mount(mount))
    for destination, options in (host.tmpfs or {}).items():
        cleaned = _check_tmpfs(destination, options)
        if cleaned in own:
            raise InvalidParameter(f"Duplicate mount point: {cleaned}")
        own.add(cleaned)
        points.pop(cleaned, None)
    for destination in config.volumes or ():
        cleaned = _image_volume(destination)
        if cleaned not in points and cleaned not in own:
            points[cleaned] = MountPoint(type="volume", destination=cleaned, driver=DRIVER, anonymous=True)
    return list(points.values())


def _add(points: dict[str, MountPoint], own: set[str], point: MountPoint) -> None:
    if point.destination in own:
        raise InvalidParameter(f"Duplicate mount point: {point.destination}")
    own.add(point.destination)
    points[point.destination] = point


def _bind(spec: str, volume_driver: str) -> MountPoint:
    parsed = mount_spec.parse(spec)
    _check_not_proc(parsed.destination)
    if parsed.is_bind:
        return MountPoint(
            type="bind",
            source=parsed.source,
            destination=parsed.destination,
            mode=parsed.mode,
            rw=not parsed.read_only,
            propagation=parsed.propagation or "rprivate",
            create_source=True,
        )
    if parsed.source:
        mount_spec.check_volume_name(parsed.source)
    if parsed.propagation:
        raise InvalidParameter(f"invalid volume specification: '{spec}'")
    return MountPoint(
        type="volume",
        name=parsed.source,
        destination=parsed.destination,
        driver=volume_driver or DRIVER,
        mode=parsed.mode or ("z" if parsed.source else ""),
        rw=not parsed.read_only,
        no_copy=parsed.no_copy,
        anonymous=not parsed.source,
    )


def _mount(mount: Mount) -> MountPoint:
    try:
        destination = mount_spec.check_destination(mount.target)
        _check_not_proc(destination)
        return _MOUNTS[mount.type](mount, destination)
    except KeyError:
        raise InvalidParameter(f'invalid mount config for type "{mount.type}": mount type unknown') from None
    except InvalidParameter as exc:
        raise InvalidParameter(f'invalid mount config for type "{mount.type}": {exc.message}', hint=exc.hint) from exc


def _bind_mount(mount: Mount, destination: str) -> MountPoint:
    _refuse(mount, "volume_options", "tmpfs_options", "image_options")
    if not mount.source:
        raise InvalidParameter("field Source must not be empty")
    if not mount.source.startswith("/"):
        raise InvalidParameter(f"invalid mount path: '{mount.source}' mount path must be absolute")
    options = mount.bind_options
    propagation = options.propagation if options else ""
    if propagation and propagation not in mount_spec.PROPAGATION:
        raise InvalidParameter(f"invalid propagation mode: {propagation}")
    create = options is not None and options.create_mountpoint
    source = posixpath.normpath(mount.source)
    if not create and not _exists(source):
        raise InvalidParameter(f"bind source path does not exist: {mount.source}")
    return MountPoint(
        type="bind",
        source=source,
        destination=destination,
        rw=not mount.read_only,
        propagation=propagation or "rprivate",
        explicit=True,
        create_source=create,
        bind_options=options,
    )


def _volume_mount(mount: Mount, destination: str) -> MountPoint:
    _refuse(mount, "bind_options", "tmpfs_options", "image_options")
    if not mount.source and mount.read_only:
        raise InvalidParameter("must not set ReadOnly mode when using anonymous volumes")
    if mount.source:
        mount_spec.check_volume_name(mount.source)
    options = mount.volume_options
    driver = options.driver_config.name if options and options.driver_config else ""
    return MountPoint(
        type="volume",
        name=mount.source,
        destination=destination,
        driver=driver or DRIVER,
        mode="z",
        rw=not mount.read_only,
        no_copy=options is not None and options.no_copy,
        anonymous=not mount.source,
        explicit=True,
        subpath=_subpath(options.subpath) if options else "",
    )


def _tmpfs_mount(mount: Mount, destination: str) -> MountPoint:
    _refuse(mount, "bind_options", "volume_options", "image_options")
    if mount.source:
        raise InvalidParameter("field Source must not be specified")
    options = mount.tmpfs_options
    if options is not None and (options.size_bytes < 0 or not 0 <= options.mode <= 0o7777):
        raise InvalidParameter("invalid tmpfs size or mode")
    for option in (options.options if options else None) or ():
        if not 1 <= len(option) <= 2 or option[0] not in TMPFS_FLAGS:
            raise InvalidParameter(f"invalid option: {option}")
    return MountPoint(
        type="tmpfs", destination=destination, rw=not mount.read_only, explicit=True, tmpfs_options=options
    )


def _image_mount(mount: Mount, destination: str) -> MountPoint:
    _refuse(mount, "bind_options", "volume_options", "tmpfs_options")
    if not mount.source:
        raise InvalidParameter("field Source must not be empty")
    subpath = _subpath(mount.image_options.subpath) if mount.image_options else ""
    return MountPoint(
        type="image", source=mount.source, destination=destination, rw=False, explicit=True, subpath=subpath
    )


def _subpath(path: str) -> str:
    """A relative path that stays below; what it names is looked up at the start."""
    cleaned = posixpath.normpath(path) if path else ""
    if cleaned == ".." or cleaned.startswith(("/", "../")):
        raise InvalidParameter("subpath must be a relative path within the volume")
    return "" if cleaned == "." else cleaned


_MOUNTS = {"bind": _bind_mount, "volume": _volume_mount, "tmpfs": _tmpfs_mount, "image": _image_mount}

_OPTION_FIELDS: Mapping[str, str] = {
    "bind_options": "BindOptions", "volume_options": "VolumeOptions", "tmpfs_options": "TmpfsOptions",
    "image_options": "ImageOptions",
}  # fmt: skip


def _refuse(mount: Mount, *fields: str) -> None:
    for field in fields:
        if getattr(mount, field) is not None:
            raise InvalidParameter(f"field {_OPTION_FIELDS[field]} must not be specified")


def _image_volume(destination: str) -> str:
    cleaned = mount_spec.clean(destination)
    # S17: an image decides this path. It names a place in the container, never one that contains the process.
    if not destination.startswith("/"):
        raise InvalidParameter(f"invalid volume specification: '{destination}'")
    if cleaned in _FORBIDDEN_IMAGE_VOLUMES or cleaned.startswith(("/proc/", "/sys/")):
        raise InvalidParameter(f"invalid volume specification: '{destination}': mounting there is not allowed")
    return cleaned


def _check_not_proc(destination: str) -> None:
    if (destination == "/proc" or destination.startswith("/proc/")) and destination not in _PROC_ALLOWED:
        raise InvalidParameter(
            f'"{destination}" cannot be mounted because it is inside /proc',
            hint="Only the files that lxcfs provides may be replaced there.",
        )


def _volumes_from(entry: str, registry: Registry) -> list[MountPoint]:
    reference, _, mode = entry.partition(":")
    if not mount_spec.valid_mode(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    read_only = "ro" in mode.split(",")
    result = []
    for point in registry.get(reference).record.mounts:
        if point.type in ("bind", "volume"):
            copied = MountPoint(**{name: getattr(point, name) for name in point.__struct_fields__})
            copied.rw = point.rw and not read_only
            # An anonymous volume stays one: it goes with the last of its containers that is removed with its volumes.
            copied.no_copy = True
            result.append(copied)
    return result


# Options of a tmpfs mount that may be named; the kernel's flags and tmpfs's own parameters.
_TMPFS_WORDS = """
ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime
nodiratime relatime norelatime strictatime nostrictatime mode size uid gid nr_inodes nr_blocks mpol
"""
TMPFS_FLAGS = frozenset(_TMPFS_WORDS.split())


def _check_tmpfs(destination: str, options: str) -> str:
    cleaned = mount_spec.check_destination(destination)
    _check_not_proc(cleaned)
    for option in filter(None, options.split(",")):
        if option.partition("=")[0] not in TMPFS_FLAGS:
            raise InvalidParameter(f"invalid tmpfs option {option!r}".replace("'", '"'))
    return cleaned


def _exists(path: str) -> bool:
    return posixpath.lexists(path)
