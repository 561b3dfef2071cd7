"""The option strings of a mount (config.json ``mounts[].options``) as mount attributes, propagation and data.

The names are those of runtime-spec 1.2, config.md "Linux mount options"; what is not an option of the VFS is data
for the file system.
"""

from wherry.linux import mount, mount_api

_RDONLY = mount_api.MOUNT_ATTR_RDONLY
_NOSUID = mount_api.MOUNT_ATTR_NOSUID
_NODEV = mount_api.MOUNT_ATTR_NODEV
_NOEXEC = mount_api.MOUNT_ATTR_NOEXEC
_NODIRATIME = mount_api.MOUNT_ATTR_NODIRATIME
_NOSYMFOLLOW = mount_api.MOUNT_ATTR_NOSYMFOLLOW
_ATIME = mount_api.MOUNT_ATTR__ATIME

# name → (attributes to set, attributes to clear); the atime modes are one field of which the whole is replaced.
_ATTRIBUTES = {
    "ro": (_RDONLY, 0),
    "rw": (0, _RDONLY),
    "nosuid": (_NOSUID, 0),
    "suid": (0, _NOSUID),
    "nodev": (_NODEV, 0),
    "dev": (0, _NODEV),
    "noexec": (_NOEXEC, 0),
    "exec": (0, _NOEXEC),
    "nodiratime": (_NODIRATIME, 0),
    "diratime": (0, _NODIRATIME),
    "nosymfollow": (_NOSYMFOLLOW, 0),
    "symfollow": (0, _NOSYMFOLLOW),
    "relatime": (mount_api.MOUNT_ATTR_RELATIME, _ATIME),
    "norelatime": (0, _ATIME),
    "noatime": (mount_api.MOUNT_ATTR_NOATIME, _ATIME),
    "atime": (0, _ATIME),
    "strictatime": (mount_api.MOUNT_ATTR_STRICTATIME, _ATIME),
    "nostrictatime": (0, _ATIME),
}
_RECURSIVE = {f"r{name}": bits for name, bits in _ATTRIBUTES.items()}

PROPAGATION = {
    "private": (mount.MS_PRIVATE, False),
    "rprivate": (mount.MS_PRIVATE, True),
    "shared": (mount.MS_SHARED, False),
    "rshared": (mount.MS_SHARED, True),
    "slave": (mount.MS_SLAVE, False),
    "rslave": (mount.MS_SLAVE, True),
    "unbindable": (mount.MS_UNBINDABLE, False),
    "runbindable": (mount.MS_UNBINDABLE, True),
}
"""Name → (MS_*, recursive); the values of ``linux.rootfsPropagation`` too."""

# Properties of the superblock: parameters of a new file system, without meaning for a bind mount.
_SUPERBLOCK = {"sync", "dirsync", "lazytime", "mand", "iversion"}
_IGNORED = {"defaults", "async", "nolazytime", "nomand", "noiversion", "loud", "silent", "acl", "noacl", "remount"}

ATTRIBUTE_OPTIONS = tuple(sorted({*_ATTRIBUTES, *_RECURSIVE}))
KNOWN_OPTIONS = tuple(
    sorted({*_ATTRIBUTES, *_RECURSIVE, *PROPAGATION, *_SUPERBLOCK, *_IGNORED, "bind", "rbind", "idmap", "ridmap"})
)
"""For ``features``."""


class MountOptions:
    """What the options of one mount come to."""

    def __init__(self) -> None:
        self.set_attributes = 0
        self.clear_attributes = 0
        self.recursive_set = 0
        self.recursive_clear = 0
        self.propagation: list[tuple[int, bool]] = []  # (MS_*, recursive), in order
        self.data: list[str] = []  # parameters of the file system
        self.bind = False
        self.recursive_bind = False
        self.idmap = False
        self.recursive_idmap = False
        self.copy_up = False


def parse_mount_options(options: list[str]) -> MountOptions:
    """Sort the options out; of contradicting ones the last wins."""
    result = MountOptions()
    for option in options:
        if option in _ATTRIBUTES:
            bits, cleared = _ATTRIBUTES[option]
            result.set_attributes = result.set_attributes & ~cleared | bits
            result.clear_attributes = (result.clear_attributes | cleared) & ~(bits & ~_ATIME)
        elif option in _RECURSIVE:
            bits, cleared = _RECURSIVE[option]
            result.recursive_set = result.recursive_set & ~cleared | bits
            result.recursive_clear = (result.recursive_clear | cleared) & ~(bits & ~_ATIME)
        elif option in PROPAGATION:
            result.propagation.append(PROPAGATION[option])
        elif option == "bind":
            result.bind = True
        elif option == "rbind":
            result.bind = result.recursive_bind = True
        elif option == "idmap":
            result.idmap = True
        elif option == "ridmap":
            result.idmap = result.recursive_idmap = True
        elif option == "tmpcopyup":
            result.copy_up = True
        elif option not in _IGNORED:
            result.data.append(option)
    return result
