"""Volatile overlay mounts: never synced, so refused after a crash of the machine, and only then.

overlayfs leaves ``work/work/incompat/volatile`` and refuses the work directory ever after, for the upper layer was
perhaps not written before a crash. Within one boot nothing is lost and the mark may go; ``<active>/volatile``, a link
whose text is the boot id, says which boot it was.
"""

import os

from wherry.linux.boot import boot_id
from wherry.snapshots.snapshotter import SnapshotFailed
from wherry.snapshots.trash import Trash


def allow_mount(path: str, key: str, trash: Trash, *, volatile: bool) -> None:
    """Make the active snapshot at ``path`` mountable again; SnapshotFailed when it may be damaged."""
    mark = f"{path}/volatile"
    kernel_mark = f"{path}/work/work/incompat/volatile"
    if os.path.lexists(kernel_mark):
        if os.readlink(mark) != boot_id():
            raise SnapshotFailed(
                f"mount snapshot {key}: it was not synced before the machine went down",
                hint="It belonged to a container that does not survive a crash: remove the container.",
            )
        trash.take(kernel_mark)
    elif volatile and os.path.lexists(mark):
        os.unlink(mark)  # of an earlier boot, in which it was synced after all
    if volatile and not os.path.lexists(mark):
        os.symlink(boot_id(), mark)
