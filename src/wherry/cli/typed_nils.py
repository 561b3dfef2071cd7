"""What Go's typed zero values look like in a template of ``inspect``.

Docker's CLI runs a template over structs: a list that is null prints as ``[]`` and has a length, an optional member
that is not in the JSON prints as ``<nil>``. Here the documents are plain JSON, so the names say what they are.
"""


class NilSlice(list):  # type: ignore[type-arg]
    """A null list: prints ``[]``, is null in JSON."""


class NilMap(dict):  # type: ignore[type-arg]
    """A null map: prints ``map[]``, is null in JSON."""


class NilPointer:
    """An absent optional: prints ``<nil>``, is null in JSON, counts as false."""

    def __bool__(self) -> bool:
        return False


_SLICES = (
    "Cmd", "Entrypoint", "OnBuild", "Env", "Shell", "Binds", "Links", "CapAdd", "CapDrop", "Dns", "DnsOptions",
    "DnsSearch", "ExtraHosts", "GroupAdd", "VolumesFrom", "SecurityOpt", "BlkioWeightDevice", "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "Devices", "DeviceCgroupRules",
    "DeviceRequests", "Ulimits", "Mounts", "MaskedPaths", "ReadonlyPaths", "ExecIDs", "Args", "RepoTags",
    "RepoDigests", "Layers", "Aliases", "DNSNames", "SecondaryIPAddresses", "SecondaryIPv6Addresses",
)  # fmt: skip
_MAPS = (
    "Labels", "Volumes", "ExposedPorts", "PortBindings", "Ports", "Annotations", "Sysctls", "Tmpfs", "StorageOpt",
    "DriverOpts", "Options", "Networks",
)  # fmt: skip
_POINTERS = (
    "Health", "Healthcheck", "PidsLimit", "MemorySwappiness", "OomKillDisable", "Init", "StopTimeout", "IPAMConfig",
    "SizeRw", "SizeRootFs",
)  # fmt: skip
_SCALARS: dict[str, object] = {
    "ArgsEscaped": False, "NetworkDisabled": False, "MacAddress": "", "StopSignal": "", "User": "", "WorkingDir": "",
    "Comment": "", "Author": "", "DockerVersion": "", "Parent": "", "Variant": "",
    "Name": "", "Driver": "",
}  # fmt: skip

ZEROS: dict[str, object] = {
    **{name: NilSlice() for name in _SLICES},
    **{name: NilMap() for name in _MAPS},
    **{name: NilPointer() for name in _POINTERS},
    **_SCALARS,
}
MAPS = frozenset(_MAPS)
"""Members whose keys are the user's: one that is missing is no mistake of the template."""
