"""The content store: what is written is whole or absent (S01, S02, S03, R01, R06, R07)."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from wherry.content import gc
from wherry.content.errors import BlobNotFound, ContentMismatch, StorageFault
from wherry.content.local import LocalContentStore
from wherry.errors import Conflict
from wherry.oci.digest import Digest, digest_of


@pytest.fixture
def store(tmp_path: Path) -> LocalContentStore:
    return LocalContentStore(str(tmp_path / "content"))


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


DATA = os.urandom(300_000)
DIGEST = digest_of(DATA)


def test_a_blob_is_stored_under_its_digest_and_read_only(store: LocalContentStore, tmp_path: Path) -> None:
    assert store.write(DATA) == DIGEST
    assert store.has(DIGEST)
    assert store.read(DIGEST) == DATA
    assert store.size(DIGEST) == len(DATA)
    assert list(store.walk()) == [(DIGEST, len(DATA))]
    assert files(tmp_path / "content") == ["blobs/sha256/" + DIGEST[7:]]
    assert os.stat(tmp_path / "content/blobs/sha256" / DIGEST[7:]).st_mode & 0o777 == 0o400
    assert os.stat(tmp_path / "content").st_mode & 0o777 == 0o700
    assert store.delete(DIGEST)
    assert not store.delete(DIGEST)
    with pytest.raises(BlobNotFound):
        store.read(DIGEST)


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"y" + DATA[1:], b""])
def test_s01_a_mismatch_stores_nothing(store: LocalContentStore, tmp_path: Path, data: bytes) -> None:
    ingest = store.ingest(DIGEST, len(DATA))
    with pytest.raises(ContentMismatch):
        ingest.write(data)
        ingest.commit()
    ingest.abort()
    assert files(tmp_path) == []


def test_s02_nothing_beyond_the_promised_size_is_written(store: LocalContentStore) -> None:
    with store.ingest(DIGEST, 1000) as ingest:
        ingest.write(DATA[:1000])
        with pytest.raises(ContentMismatch, match="longer"):
            ingest.write(b"x")
        assert ingest.written_bytes == 1000


def test_s03_a_path_is_never_made_of_a_wrong_digest(store: LocalContentStore) -> None:
    for text in ("sha256:../../../etc/passwd", "sha256:" + "A" * 64, "../x"):
        with pytest.raises(ContentMismatch, match="invalid digest"):
            store.has(Digest(text))


def test_corruption_at_rest_is_seen(store: LocalContentStore, tmp_path: Path) -> None:
    store.write(DATA)
    path = tmp_path / "content/blobs/sha256" / DIGEST[7:]
    path.chmod(0o600)
    path.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(StorageFault, match="corrupt"):
        store.read(DIGEST)


def test_r21_a_suspended_ingest_is_resumed(store: LocalContentStore) -> None:
    ingest = store.ingest(DIGEST, len(DATA))
    ingest.write(DATA[:100_000])
    ingest.suspend()
    resumed = store.ingest(DIGEST, len(DATA))
    assert resumed.written_bytes == 100_000
    resumed.write(DATA[100_000:])
    assert resumed.commit() == DIGEST


def test_r21_a_tampered_partial_file_is_noticed_and_dropped(store: LocalContentStore, tmp_path: Path) -> None:
    ingest = store.ingest(DIGEST, len(DATA))
    ingest.write(DATA[:1000])
    ingest.suspend()
    partial = tmp_path / "content/ingest" / ("sha256-" + DIGEST[7:])
    partial.write_bytes(bytes(1000))
    resumed = store.ingest(DIGEST, len(DATA))
    resumed.write(DATA[1000:])
    with pytest.raises(ContentMismatch):
        resumed.commit()
    assert files(tmp_path) == []
    oversized = tmp_path / "content/ingest" / ("sha256-" + DIGEST[7:])
    oversized.write_bytes(DATA + b"more")
    with store.ingest(DIGEST, len(DATA)) as again:
        assert again.written_bytes == 0


def test_one_ingest_per_digest(store: LocalContentStore) -> None:
    with store.ingest(DIGEST, len(DATA)), pytest.raises(Conflict):
        store.ingest(DIGEST, len(DATA))
    with store.ingest(DIGEST, len(DATA)) as ingest:
        ingest.write(DATA)


def test_a_follower_reads_along_and_ends_only_when_verified(store: LocalContentStore) -> None:
    ingest = store.ingest(DIGEST, len(DATA))
    seen = bytearray()
    reader = ingest.follow()
    assert reader is not None

    def read() -> None:
        while chunk := reader.read(7000):
            seen.extend(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    for at in range(0, len(DATA), 50_000):
        ingest.write(DATA[at : at + 50_000])
    thread.join(0.2)
    assert thread.is_alive()  # everything is here, but nobody has said that it is right
    ingest.commit()
    thread.join(5)
    assert bytes(seen) == DATA
    reader.close()


def test_a_follower_of_a_bad_blob_gets_the_error(store: LocalContentStore) -> None:
    ingest = store.ingest(DIGEST, 5)
    reader = ingest.follow()
    assert reader is not None
    ingest.write(b"wrong")
    assert reader.read(5) == b"wrong"
    with pytest.raises(ContentMismatch):
        ingest.commit()
    with pytest.raises(ContentMismatch):
        reader.read(5)
    reader.close()
    assert ingest.follow() is None


@pytest.mark.privileged
def test_r06_a_full_disk_is_a_clean_error_and_gives_the_space_back(tmp_path: Path) -> None:
    """A real tmpfs of 1 MiB in a mount namespace of its own; every later step too must be clean."""
    script = """
        import os, subprocess, sys
        from wherry.content.errors import StorageFault
        from wherry.content.local import LocalContentStore
        from wherry.oci.digest import digest_of
        root = sys.argv[1]
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", root], check=True)
        store = LocalContentStore(root + "/content")
        data = os.urandom(2 << 20)
        before = os.statvfs(root).f_bavail
        try:
            store.write(data)
        except StorageFault as exc:
            assert "No space left on device" in str(exc), exc
        else:
            raise AssertionError("no error")
        assert os.statvfs(root).f_bavail == before
        assert not store.has(digest_of(data))
        small = os.urandom(1000)
        assert store.read(store.write(small)) == small
    """
    subprocess.run(
        ["unshare", "-m", sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=True, timeout=30
    )


WRITER = """
    import sys
    from wherry.content.local import LocalContentStore
    store = LocalContentStore(sys.argv[1])
    try:
        store.write(b"x" * 100000)
    except Exception as exc:
        print("refused", exc)
        sys.exit(3)
    print("stored")
"""
WRITTEN = digest_of(b"x" * 100_000)


def run_under_strace(root: Path, injection: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"inject={injection}", sys.executable, "-c"]
    return subprocess.run(
        [*command, textwrap.dedent(WRITER), str(root)], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.privileged
@pytest.mark.parametrize("step", ["fsync:when=1", "fsync:when=2", "rename:when=1"])
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
def test_r07_a_failing_fsync_or_rename_stores_nothing(tmp_path: Path, step: str, fault: str) -> None:
    call, _, when = step.partition(":")
    done = run_under_strace(tmp_path / "c", f"{call}:error={fault}:{when}")
    assert done.returncode == 3, done
    store = LocalContentStore(str(tmp_path / "c"))
    assert not store.has(WRITTEN)
    assert files(tmp_path / "c") == []


@pytest.mark.privileged
@pytest.mark.parametrize("step", ["fsync:when=1", "fsync:when=2", "rename:when=1", "write:when=1", "chmod:when=1"])
def test_r01_a_kill_at_any_step_leaves_the_blob_whole_or_absent(tmp_path: Path, step: str) -> None:
    call, _, when = step.partition(":")
    done = run_under_strace(tmp_path / "c", f"{call}:signal=SIGKILL:{when}")
    assert done.returncode in (-9, 137), done
    store = LocalContentStore(str(tmp_path / "c"))
    if store.has(WRITTEN):
        assert store.read(WRITTEN) == b"x" * 100_000
    store.discard_partial(older_than_seconds=0)
    assert files(tmp_path / "c") in ([], ["blobs/sha256/" + WRITTEN[7:]]), done
    assert store.write(b"x" * 100_000) == WRITTEN


def test_collecting_deletes_what_nothing_names(store: LocalContentStore) -> None:
    kept, dropped = store.write(b"kept"), store.write(b"dropped")
    done = gc.collect(store, lambda: {kept})
    assert done.digests == (dropped,)
    assert done.freed_bytes == len(b"dropped")
    assert store.has(kept)


def test_r19_a_lease_protects(store: LocalContentStore) -> None:
    with store.leases.lease() as lease:
        digest = store.write(b"leased")
        lease.add(digest)
        assert gc.collect(store, set).digests == ()
    assert gc.collect(store, set).digests == (digest,)


def test_r19_a_lease_given_back_during_a_collection_still_protects(store: LocalContentStore) -> None:
    """The pull commits its name after the collector read the names, and lets go before it deletes."""
    lease = store.leases.lease()
    with lease as held:
        digest = store.write(b"pulled")
        held.add(digest)

        def roots() -> set[str]:
            lease.__exit__(None, None, None)
            return set()

        assert gc.collect(store, roots).digests == ()
    assert store.has(digest)


def test_r19_a_lease_taken_during_a_collection_protects(store: LocalContentStore) -> None:
    digest = store.write(b"old")
    taken = store.leases.lease()

    def roots() -> set[str]:
        taken.__enter__().add(digest)
        return set()

    assert gc.collect(store, roots).digests == ()
    taken.__exit__(None, None, None)


def test_r19_collections_beside_pulls_lose_nothing(store: LocalContentStore) -> None:
    named: set[str] = set()
    lost: list[str] = []
    done = threading.Event()

    def pull(worker: int) -> None:
        for n in range(150):
            with store.leases.lease() as lease:
                data = f"{worker}-{n}".encode()
                lease.add(digest_of(data))
                digest = store.write(data)
                if not store.has(digest):
                    lost.append(digest)
                named.add(digest)
            if not store.has(digest):
                lost.append(digest)

    workers = [threading.Thread(target=pull, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()

    def sweep() -> None:
        while not done.is_set():
            gc.collect(store, lambda: set(named))

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    for worker in workers:
        worker.join(60)
    done.set()
    sweeper.join(10)
    assert lost == []
    assert {digest for digest, _ in store.walk()} == named
