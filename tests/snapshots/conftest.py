"""A snapshotter on a root of its own, and a victim beside it that no layer may touch."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.snapshots.host_walk import Record, walk_host
from tests.snapshots.raw_tar import archive
from wherry.linux.mount_api import FileSystemContext
from wherry.snapshots.chain_id import ChainId
from wherry.snapshots.overlay import OverlaySnapshotter
from wherry.snapshots.snapshotter import Overlay

Unpack = Callable[..., ChainId]


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def snapshotter(data_root: Path) -> Iterator[OverlaySnapshotter]:
    snapshotter = OverlaySnapshotter(str(data_root))
    yield snapshotter
    snapshotter.close()


@pytest.fixture
def unpack(snapshotter: OverlaySnapshotter) -> Unpack:
    """Commit raw members as a layer whose diff_id is right: ``unpack(*members, parent=…)``."""

    def unpack(*members: bytes, parent: ChainId | None = None, **limits: int) -> ChainId:
        data = archive(*members)
        diff_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return snapshotter.unpack(parent, diff_id, io.BytesIO(data), **limits)

    return unpack


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """What attacks aim at: a directory with a secret, three levels above a layer's root and by its absolute path."""
    path = tmp_path / "victim"
    path.mkdir(mode=0o750)
    (path / "secret").write_text("canary")
    (path / "secret").chmod(0o640)
    return path


@pytest.fixture
def untouched(tmp_path: Path, data_root: Path, victim: Path) -> Iterator[Callable[[], list[Record]]]:
    """Fails the test when anything outside the data root is not as it was (oracle H)."""

    def look() -> list[Record]:
        return walk_host(tmp_path, without=data_root)

    before = look()
    yield look
    assert look() == before


@pytest.fixture
def nothing_left(data_root: Path, snapshotter: OverlaySnapshotter) -> Callable[[], None]:
    """Asserts that a refused layer left no file behind."""

    def check() -> None:
        for part in ("layers", "ingest", "l"):
            assert list((data_root / "snapshots" / part).iterdir()) == []
        assert snapshotter.all() == []

    return check


@pytest.fixture
def mount_overlay() -> Callable[[Overlay], None]:
    """Mounts what the snapshotter describes, as the runtime would, touches a file and unmounts it."""

    def mount(overlay: Overlay) -> None:
        with FileSystemContext("overlay") as context:
            for path in overlay["lower"]:
                context.set_string("lowerdir+", path)
            context.set_string("upperdir", overlay["upper"])
            context.set_string("workdir", overlay["work"])
            if overlay["volatile"]:
                context.set_flag("volatile")
            context.create()
            fd = context.mount()
        try:
            os.close(os.open("touched", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        finally:
            os.close(fd)

    return mount
