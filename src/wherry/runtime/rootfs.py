"""The container's root file system: an overlay made by the runtime, or a directory of the bundle."""

from typing import TypedDict


class OverlayRootfs(TypedDict):
    """An overlay that exists only in the container's private mount namespace."""

    lower: list[str]  # absolute directories, top first
    upper: str
    work: str
    volatile: bool  # no sync at umount: for containers that are removed when they end
    readonly: bool
