"""Volumes by name."""

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.errors import Conflict, InvalidParameter, NotFound
from wherry.events.bus import EventBus
from wherry.linux import mount, mountinfo
from wherry.metadata.database import Database
from wherry.settings import Settings
from wherry.volumes import listing
from wherry.volumes.store import MIGRATIONS, Volumes


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "db"), MIGRATIONS)
    yield database
    database.close()


@pytest.fixture
def volumes(tmp_path: Path, database: Database) -> Volumes:
    return Volumes(Settings(data_root=str(tmp_path)), database, EventBus())


def test_create_is_idempotent_and_survives_a_restart(tmp_path: Path, database: Database, volumes: Volumes) -> None:
    made = volumes.create("data", labels={"a": "b"})
    assert volumes.create("data") == made
    again = Volumes(Settings(data_root=str(tmp_path)), database, EventBus())
    assert again.get("data") == made
    assert os.path.isdir(made.mountpoint)


def test_other_options_for_an_existing_volume_are_a_conflict(volumes: Volumes) -> None:
    volumes.create("data")
    with pytest.raises(Conflict, match="already exists with different options"):
        volumes.create("data", options={"type": "tmpfs", "device": "tmpfs"})
    with pytest.raises(InvalidParameter, match='invalid option: "nonsense"'):
        volumes.create("other", options={"nonsense": "1"})
    with pytest.raises(NotFound, match='plugin "nfsx" not found'):
        volumes.create("other", driver="nfsx")


def test_a_volume_in_use_is_not_removed(volumes: Volumes) -> None:
    volumes.create("data", user="c1")
    with pytest.raises(Conflict, match=r"^remove data: volume is in use - \[c1\]$"):
        volumes.remove("data", force=True)
    volumes.release("data", "c1")
    volumes.remove("data")
    with pytest.raises(NotFound, match=r"^get data: no such volume"):
        volumes.get("data")
    volumes.remove("data", force=True)


def test_prune_takes_unused_anonymous_volumes_and_with_all_every_unused_one(volumes: Volumes) -> None:
    anonymous = volumes.create().name
    volumes.create("named")
    volumes.create("used", user="c1")
    Path(volumes.get(anonymous).mountpoint, "f").write_bytes(b"x" * 100)
    pruned = volumes.prune({})
    assert (pruned["VolumesDeleted"], pruned["SpaceReclaimed"]) == ([anonymous], 100)
    assert volumes.prune({"all": ["true"]})["VolumesDeleted"] == ["named"]
    assert [volume.name for volume in volumes.all()] == ["used"]


def test_r41_a_crash_in_the_midst_of_a_removal_is_finished_at_the_next_start(
    tmp_path: Path, database: Database, volumes: Volumes
) -> None:
    volumes.create("data")
    volumes.create("other")
    discarded = volumes.driver.discard("data")
    assert discarded is not None
    again = Volumes(Settings(data_root=str(tmp_path)), database, EventBus())
    assert [volume.name for volume in again.all()] == ["other"]
    again.sweep_trash()
    assert not os.path.exists(discarded)
    assert os.path.isdir(again.get("other").mountpoint)


def test_r41_a_removal_that_the_database_refuses_keeps_the_volume_with_its_content(
    volumes: Volumes, database: Database
) -> None:
    kept = Path(volumes.create("data").mountpoint) / "file"
    kept.write_text("content")
    with database.write() as connection:
        connection.execute("CREATE TRIGGER no BEFORE DELETE ON volumes BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="full"):
        volumes.remove("data")
    assert kept.read_text() == "content"
    assert volumes.get("data").mountpoint == str(kept.parent)


def test_r01_a_directory_without_a_row_is_removed_when_it_is_empty_and_left_alone_otherwise(
    tmp_path: Path, database: Database, volumes: Volumes
) -> None:
    cut = volumes.driver.create("cut")
    precious = volumes.driver.create("precious")
    Path(precious, "file").write_text("content")
    again = Volumes(Settings(data_root=str(tmp_path)), database, EventBus())
    assert not os.path.exists(os.path.dirname(cut))
    assert Path(precious, "file").read_text() == "content"
    assert again.all() == []


def test_r01_anonymous_volumes_of_containers_that_are_not_there_are_orphans_until_they_are_kept(
    volumes: Volumes,
) -> None:
    made = volumes.create(user="c1", anonymous=True).name
    volumes.create("named", user="c1")
    volumes.create("", user="")
    assert volumes.orphans({"c1"}) == []
    assert volumes.orphans({"c2"}) == [made]
    volumes.keep(made)
    assert volumes.orphans(set()) == []


def test_concurrent_creates_of_one_name_make_one_volume(volumes: Volumes, database: Database) -> None:
    made = []

    def create() -> None:
        made.append(volumes.create("data"))
        database.release_thread()

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({volume.created_ns for volume in made}) == 1


def test_the_list_and_its_filters(volumes: Volumes) -> None:
    volumes.create("one", labels={"k": "v"})
    volumes.create("two", user="c1")
    names = {
        text: [v["Name"] for v in listing.list_volumes(volumes, filters)["Volumes"]]
        for text, filters in {
            "all": {},
            "name": {"name": ["tw"]},
            "label": {"label": ["k=v"]},
            "dangling": {"dangling": ["true"]},
        }.items()
    }
    assert names == {"all": ["one", "two"], "name": ["two"], "label": ["one"], "dangling": ["one"]}
    shown = listing.inspect(volumes, "one")
    assert (shown["Driver"], shown["Scope"], shown["Labels"]) == ("local", "local", {"k": "v"})
    assert listing.usage(volumes)[1]["UsageData"] == {"Size": 0, "RefCount": 1}


def test_s32_the_volumes_directory_can_be_traversed_and_not_listed(volumes: Volumes) -> None:
    assert os.stat(volumes.driver.root).st_mode & 0o777 == 0o711


def _nest(directory: str, depth: int) -> None:
    """Directories in directories, deeper than any path can say: what a container makes with a loop of mkdir and cd."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


def test_s19_a_volume_nested_beyond_reason_is_removed_and_does_not_stop_the_next_engine(
    tmp_path: Path, database: Database, volumes: Volumes, request: pytest.FixtureRequest
) -> None:
    """shutil.rmtree is recursive: it failed here, then again at every start of the engine, which could not start."""
    request.addfinalizer(lambda: subprocess.run(["rm", "-rf", str(tmp_path / "volumes")], check=True))  # not pytest's
    _nest(volumes.create("deep").mountpoint, 5000)
    assert volumes.driver.size_bytes("deep") == 0
    volumes.remove("deep")
    assert volumes.driver.leftovers() == []
    _nest(volumes.create("deep").mountpoint, 5000)
    volumes.driver.discard("deep")  # and a crash
    again = Volumes(Settings(data_root=str(tmp_path)), database, EventBus())
    again.sweep_trash()
    assert again.driver.leftovers() == []


@pytest.mark.privileged
def test_r41_what_cannot_be_deleted_stays_in_the_trash_and_the_engine_starts(
    tmp_path: Path, database: Database, volumes: Volumes, caplog: pytest.LogCaptureFixture
) -> None:
    inner = tmp_path / "volumes" / "data" / "_data"
    volumes.create("data")
    (inner / "mounted").mkdir()
    mount.mount("t", str(inner / "mounted"), "tmpfs")
    (inner / "mounted" / "kept").touch()
    try:
        volumes.remove("data")
        [left] = volumes.driver.leftovers()
        Volumes(Settings(data_root=str(tmp_path)), database, EventBus()).sweep_trash()
        assert os.path.exists(f"{left}/_data/mounted/kept")
        assert "delete" in caplog.text
    finally:
        for found in mountinfo.read():
            if found.mount_point.startswith(str(tmp_path)):
                mount.umount(found.mount_point)
