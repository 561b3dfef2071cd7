"""Where the cgroup hierarchies of this machine are mounted, and which path in them a container gets (S44)."""

from __future__ import annotations

from wherry.record import NamedTuple
from wherry.runtime.failure import SpecInvalid

_V1_FLAGS = frozenset(["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode"])


class Hierarchy(NamedTuple):
    """A mounted v1 hierarchy: co-mounted controllers (``cpu,cpuacct``) share one; ``name=systemd`` has none."""

    mount_point: str
    controllers: tuple[str, ...]


class Layout(NamedTuple):
    """How cgroups are mounted here. ``version`` says where the controllers are: in the v1 hierarchies, or in v2."""

    version: int
    hierarchies: tuple[Hierarchy, ...] = ()
    unified: str | None = None
    """The cgroup2 mount point; with version 1 (hybrid) it holds no controllers."""

    @property
    def name(self) -> str:
        """``v1``, ``hybrid`` or ``v2``, for people to read."""
        return "v2" if self.version == 2 else "hybrid" if self.unified else "v1"


class CgroupsMissing(SpecInvalid):
    """No cgroup file system is mounted."""


def detect(text: str | None = None) -> Layout:
    """Read /proc/self/mountinfo (or ``text``). Raises CgroupsMissing."""
    from wherry.linux import mountinfo  # start-up cost: a command on a container that is there does not look

    mounts = mountinfo.read() if text is None else mountinfo.parse(text)
    hierarchies: dict[tuple[str, ...], Hierarchy] = {}
    unified = None
    for mount in mounts:
        if mount.kind == "cgroup2":
            unified = unified or mount.mount_point
        elif mount.kind == "cgroup":
            controllers = tuple(
                option
                for option in mount.super_options
                if option not in _V1_FLAGS and not option.startswith("release_agent=")
            )
            hierarchies.setdefault(controllers, Hierarchy(mount.mount_point, controllers))
    if any(not name.startswith("name=") for controllers in hierarchies for name in controllers):
        return Layout(1, tuple(hierarchies.values()), unified)
    if unified is None:
        raise CgroupsMissing("cgroup mountpoint does not exist", hint="Mount cgroup2 on /sys/fs/cgroup.")
    return Layout(2, (), unified)


def container_path(cgroups_path: str | None, container_id: str) -> str:
    """The container's cgroup, from ``linux.cgroupsPath``: absolute, without ``.`` and ``..``.

    Absolute paths count from the hierarchy's mount point; relative ones, and absence, from ``/wherry``. The form
    of the systemd driver, ``slice:prefix:name``, becomes the path that systemd would use: the same hierarchy of
    slices, but made directly, not by asking systemd. Raises SpecInvalid.
    """
    path = cgroups_path or container_id
    if path.count(":") == 2 and not path.startswith("/"):
        path = _systemd_path(path)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or any(character < " " or character == "\x7f" for character in path):
        raise SpecInvalid(f"invalid cgroups path {path!r}: it must name a cgroup below the root, without '..'")
    return "/".join(["" if path.startswith("/") else "/wherry", *parts])


def _systemd_path(triple: str) -> str:
    slice_name, prefix, name = triple.split(":")
    if "/" in triple or not name:
        raise SpecInvalid(f"invalid cgroups path {triple!r}: expected slice:prefix:name")
    unit = name if name.endswith(".slice") else f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    return f"{_slice_path(slice_name or 'system.slice')}/{unit}"


def _slice_path(slice_name: str) -> str:
    """``a-b.slice`` lies in ``a.slice`` (systemd.slice(5)); ``-.slice`` is the root."""
    stem = slice_name.removesuffix(".slice")
    if stem == "-":
        return "/"
    words = stem.split("-")
    if not slice_name.endswith(".slice") or not all(words):
        raise SpecInvalid(f"invalid slice name {slice_name!r}")
    return "".join(f"/{'-'.join(words[:count])}.slice" for count in range(1, len(words) + 1))
