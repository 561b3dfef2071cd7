"""The overlay snapshotter: one directory per layer, merged by the kernel's overlayfs.

::

    <data_root>/snapshots/            0700: other users of the host reach no layer (S32)
        layers/<chain-hex>/{fs,meta.json}   committed (layer.py)
        l/<link>                            short names of layers
        active/<key>/{upper,work}           a container's own layer; parent -> its parent's chain_id (a link's text)
        init/<mode>-<uid>-<gid>/            init layers (init_layer.py)
        ingest/<random>/                    being unpacked; removed at the start
        trash/<random>/                     being removed; removed at the start

One lock guards the index of layers and active snapshots in memory; it is held for look-ups and renames, never while a
layer is unpacked or a tree is walked. One process owns the directory (the engine's lock on the data root).
"""

import errno
import os
import re
import secrets
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.linux.boot import boot_id
from wherry.linux.filesystem import RESOLVE_NO_SYMLINKS, openat2, sync_directory, syncfs
from wherry.snapshots import diff, layer, pipeline
from wherry.snapshots.chain_id import ChainId, extend
from wherry.snapshots.init_layer import InitLayers
from wherry.snapshots.layer import Layer
from wherry.snapshots.overlay_mount import open_merged
from wherry.snapshots.remove_tree import remove_tree
from wherry.snapshots.snapshotter import (
    MAX_LAYER_BYTES,
    MAX_LAYER_ENTRIES,
    Change,
    LayerRejected,
    Overlay,
    Sink,
    Snapshot,
    SnapshotFailed,
    SnapshotInUse,
    SnapshotNotFound,
    Source,
    Usage,
)
from wherry.snapshots.tar_reader import TarReader
from wherry.snapshots.trash import Trash
from wherry.snapshots.unpack import unpack
from wherry.snapshots.usage import measure

_KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}\Z")
_PARTS = ("layers", "l", "active", "ingest")
_NO_PARENT = "-"


class OverlaySnapshotter:
    """A Snapshotter on directories. The methods' contract is in ``snapshotter.py``."""

    name = "overlay2"  # what Docker calls this layout's mechanism; clients look for it

    def __init__(self, data_root: str) -> None:
        self._root = f"{data_root}/snapshots"
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        os.chmod(self._root, 0o700)
        for part in _PARTS:
            os.makedirs(f"{self._root}/{part}", mode=0o700, exist_ok=True)
        self._lock = threading.Lock()
        self._trash = Trash(f"{self._root}/trash")
        self._init_layers = InitLayers(f"{self._root}/init")
        for name in os.listdir(f"{self._root}/ingest"):
            self._trash.take(f"{self._root}/ingest/{name}")
        self._layers = layer.read_all(self._root)
        layer.sweep_links(self._root, self._layers)
        self._active = self._read_active()
        self._pending: Counter[ChainId] = Counter()  # parents of layers being unpacked

    def _read_active(self) -> dict[str, ChainId | None]:
        active: dict[str, ChainId | None] = {}
        for key in os.listdir(f"{self._root}/active"):
            if not _KEY.match(key):
                self._trash.take(f"{self._root}/active/{key}")  # being made when the engine died
                continue
            parent = os.readlink(f"{self._root}/active/{key}/parent")
            active[key] = None if parent == _NO_PARENT else ChainId(parent)
        return active

    def close(self) -> None:
        self._trash.close()

    # -- committed layers

    def has(self, chain_id: ChainId) -> bool:
        with self._lock:
            return chain_id in self._layers

    def unpack(
        self,
        parent: ChainId | None,
        diff_id: str,
        tar: Source,
        *,
        max_bytes: int = MAX_LAYER_BYTES,
        max_entries: int = MAX_LAYER_ENTRIES,
    ) -> ChainId:
        chain_id = extend(parent, diff_id)
        with self._lock:
            if chain_id in self._layers:
                return chain_id
            if parent is not None:
                self._layer(parent)
                self._pending[parent] += 1
        ingest = f"{self._root}/ingest/{secrets.token_hex(8)}"
        try:
            try:
                self._unpack_into(ingest, parent, diff_id, tar, max_bytes=max_bytes, max_entries=max_entries)
            except LayerRejected as exc:
                raise LayerRejected(f"unpack layer {diff_id}: {exc}", hint=exc.hint) from exc
            except SnapshotFailed as exc:
                raise SnapshotFailed(f"unpack layer {diff_id}: {exc}", hint=exc.hint) from exc
            self._commit(ingest, chain_id)
        finally:
            if parent is not None:
                with self._lock:
                    self._pending[parent] -= 1
            self._discard(ingest)
        return chain_id

    def _unpack_into(
        self, ingest: str, parent: ChainId | None, diff_id: str, tar: Source, *, max_bytes: int, max_entries: int
    ) -> None:
        """Make a whole layer directory of the stream, flushed, under a temporary name."""
        with _storing("make a directory for the layer"):
            os.mkdir(ingest, 0o700)
            os.mkdir(f"{ingest}/fs", 0o755)
            root_fd = os.open(f"{ingest}/fs", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _storing("prepare the layer's root"):
                self._copy_root_status(parent, root_fd)
            below = self.view_layers(parent) if parent is not None else []

            def write(source: Source) -> int:
                reader = TarReader(source, max_entries=max_entries)
                size = unpack(reader, root_fd, lower=(lambda path: _status_in(below, path)) if below else None)
                reader.drain()
                return size

            outcome = pipeline.run(tar, write, max_bytes=max_bytes)
            if outcome.digest != diff_id:
                raise LayerRejected(f"its content has the digest {outcome.digest}")
            with _storing("flush the layer"):
                link = secrets.token_hex(6)
                layer.write_record(ingest, Layer(extend(parent, diff_id), parent, diff_id, outcome.result, link))
                syncfs(root_fd)
        finally:
            os.close(root_fd)

    def _commit(self, ingest: str, chain_id: ChainId) -> None:
        """Give the directory its name; when another thread was faster, its layer counts and ours goes."""
        with _storing(f"commit layer {chain_id}"), self._lock:
            if chain_id in self._layers:
                return
            final = layer.directory(self._root, chain_id)
            self._trash.take(final)  # a directory of this name that is not in the index is damaged
            os.rename(ingest, final)
            sync_directory(f"{self._root}/layers")
            found = layer.read_one(self._root, chain_id)
            os.symlink(f"../layers/{chain_id[7:]}/fs", f"{self._root}/l/{found.link}")
            self._layers[chain_id] = found

    def _discard(self, ingest: str) -> None:
        """What a failure left. Deleted now: it may be what filled the disk."""
        parent, _, name = ingest.rpartition("/")
        fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(fd, name.encode())
        finally:
            os.close(fd)

    def view_layers(self, chain_id: ChainId) -> list[str]:
        return [f"{self._root}/l/{link}" for link in self._links(chain_id)]

    # -- active snapshots

    def prepare(self, key: str, parent: ChainId | None) -> None:
        if not _KEY.match(key):
            raise SnapshotFailed(f"invalid snapshot key {key!r}")
        with self._lock:
            if key in self._active:
                if self._active[key] == parent:
                    return
                raise SnapshotInUse(f"snapshot {key} exists with another parent")
            if parent is not None:
                self._layer(parent)
            self._active[key] = parent
        path = f"{self._root}/active/{key}"
        temporary = f"{self._root}/active/.{key}"
        try:
            with _storing(f"prepare snapshot {key}"):
                os.mkdir(temporary, 0o700)
                os.mkdir(f"{temporary}/work", 0o700)
                os.mkdir(f"{temporary}/upper", 0o755)
                upper = os.open(f"{temporary}/upper", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    self._copy_root_status(parent, upper)
                finally:
                    os.close(upper)
                os.symlink(parent or _NO_PARENT, f"{temporary}/parent")
                os.symlink(self._init_layer(parent), f"{temporary}/init")
                os.rename(temporary, path)
        except BaseException:
            self._trash.take(temporary)
            with self._lock:
                del self._active[key]
            raise

    def overlay(self, key: str, *, volatile: bool = False, readonly: bool = False) -> Overlay:
        parent = self._parent_of_active(key)
        path = f"{self._root}/active/{key}"
        lower = [self._init_layers.ensure(os.readlink(f"{path}/init"))]
        if parent is not None:
            lower += self.view_layers(parent)
        with _storing(f"prepare the mount of snapshot {key}"):
            self._check_volatile(path, key, volatile=volatile)
        return Overlay(lower=lower, upper=f"{path}/upper", work=f"{path}/work", volatile=volatile, readonly=readonly)

    def _check_volatile(self, path: str, key: str, *, volatile: bool) -> None:
        """overlayfs refuses a work directory that a volatile mount used, for its upper layer was perhaps not written
        before a crash. Within one boot of the machine nothing is lost, and the mark is taken away.
        """
        mark = f"{path}/volatile"
        kernel_mark = f"{path}/work/work/incompat/volatile"
        if os.path.lexists(kernel_mark):
            if os.readlink(mark) != boot_id():
                raise SnapshotFailed(
                    f"mount snapshot {key}: it was not synced before the machine went down",
                    hint="It belonged to a container that does not survive a crash: remove the container.",
                )
            self._trash.take(kernel_mark)
        if volatile and not os.path.lexists(mark):
            os.symlink(boot_id(), mark)

    def changes(self, key: str) -> Iterator[Change]:
        parent = self._parent_of_active(key)
        init = self._init_layers.ensure(os.readlink(f"{self._root}/active/{key}/init"))
        lower = [init, *(self.view_layers(parent) if parent is not None else [])]
        with _opened(f"{self._root}/active/{key}/upper") as upper_fd:
            lower_fd = open_merged(f"{self._root}/l", lower)
            try:
                yield from diff.changes(upper_fd, lower_fd)
            finally:
                os.close(lower_fd)

    def write_diff(self, key: str, out: Sink) -> None:
        parent = self._parent_of_active(key)
        with _opened(f"{self._root}/active/{key}/upper") as upper_fd:
            diff.write_layer(
                upper_fd, out, root_changed=self._root_status(parent) != _root_status(os.fstat(upper_fd))
            )

    # -- both kinds

    def write_tree(self, key: str, out: Sink) -> None:
        with self.mounted(key, readonly=True) as root_fd:
            diff.write_tree(root_fd, out)

    @contextmanager
    def mounted(self, key: str, *, readonly: bool = False) -> Iterator[int]:
        upper = work = ""
        with self._lock:
            committed = ChainId(key) in self._layers
        if committed:
            lower = self.view_layers(ChainId(key))
        else:
            overlay = self.overlay(key)
            lower, upper, work = overlay["lower"], overlay["upper"], overlay["work"]
            if readonly:  # the container's layer is one more read-only one: no sync when it is unmounted
                lower, upper, work = [upper, *lower], "", ""
        with _storing(f"mount snapshot {key}"):
            fd = open_merged(f"{self._root}/l", lower, upper=upper, work=work)
        try:
            yield fd
        finally:
            os.close(fd)

    def usage(self, key: str) -> Usage:
        with self._lock:
            found = self._layers.get(ChainId(key))
        if found is not None:
            path = f"{layer.directory(self._root, found.chain_id)}/fs"
        else:
            self._parent_of_active(key)
            path = f"{self._root}/active/{key}/upper"
        with _opened(path) as fd:
            return measure(fd)

    def remove(self, key: str) -> None:
        with self._lock, _storing(f"remove snapshot {key}"):
            if key in self._active:
                self._trash.take(f"{self._root}/active/{key}")
                del self._active[key]
                return
            found = self._layers.get(ChainId(key))
            if found is None:
                return
            self._check_unused(found.chain_id)
            self._trash.take(layer.directory(self._root, found.chain_id))
            os.unlink(f"{self._root}/l/{found.link}")
            del self._layers[found.chain_id]

    def all(self) -> list[Snapshot]:
        with self._lock:
            committed = [
                Snapshot(found.chain_id, found.parent, found.diff_id, found.size_bytes)
                for found in self._layers.values()
            ]
            return committed + [Snapshot(key, parent, None, 0) for key, parent in self._active.items()]

    # -- look-ups

    def _layer(self, chain_id: ChainId) -> Layer:
        """The lock is held by the caller."""
        found = self._layers.get(chain_id)
        if found is None:
            raise SnapshotNotFound(f"No such layer: {chain_id}")
        return found

    def _links(self, chain_id: ChainId) -> list[str]:
        """Short names of a layer and everything below it, top first."""
        with self._lock:
            links = []
            at: ChainId | None = chain_id
            while at is not None:
                found = self._layer(at)
                links.append(found.link)
                at = found.parent
            return links

    def _parent_of_active(self, key: str) -> ChainId | None:
        with self._lock:
            if key not in self._active:
                raise SnapshotNotFound(f"No such snapshot: {key}")
            return self._active[key]

    def _check_unused(self, chain_id: ChainId) -> None:
        """The lock is held by the caller."""
        if self._pending[chain_id]:
            raise SnapshotInUse(f"layer {chain_id} is the parent of a layer that is being unpacked")
        for other in self._layers.values():
            if other.parent == chain_id:
                raise SnapshotInUse(f"layer {chain_id} is the parent of layer {other.chain_id}")
        for key, parent in self._active.items():
            if parent == chain_id:
                raise SnapshotInUse(f"layer {chain_id} is the parent of snapshot {key}")

    def _init_layer(self, parent: ChainId | None) -> str:
        etc = _status_in(self.view_layers(parent), b"etc") if parent is not None else None
        name = self._init_layers.name_for(etc)
        self._init_layers.ensure(name)
        return name

    def _root_status(self, parent: ChainId | None) -> tuple[int, int, int]:
        """Mode, uid and gid of the merged root of a committed snapshot: its topmost layer's."""
        if parent is None:
            return 0o755, 0, 0
        return _root_status(os.stat(f"{layer.directory(self._root, parent)}/fs"))

    def _copy_root_status(self, parent: ChainId | None, root_fd: int) -> None:
        """A new layer's root looks like the one below: overlayfs shows the topmost one's mode and owner."""
        mode, uid, gid = self._root_status(parent)
        os.fchown(root_fd, uid, gid)
        os.fchmod(root_fd, mode)


def _root_status(status: os.stat_result) -> tuple[int, int, int]:
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def _status_in(layers: list[str], path: bytes) -> os.stat_result | None:
    """The directory at ``path`` in the topmost of ``layers`` that has the name; None for nothing or anything else."""
    for root in layers:
        with _opened(root) as root_fd:
            try:
                fd = openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_NO_SYMLINKS)
            except OSError as exc:
                if exc.errno == errno.ENOENT:
                    continue
                if exc.errno in (errno.ENOTDIR, errno.ELOOP):
                    return None
                raise
            try:
                status = os.fstat(fd)
            finally:
                os.close(fd)
            return status if stat.S_ISDIR(status.st_mode) else None
    return None


@contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _storing(action: str) -> Iterator[None]:
    """The border: the kernel's errors become ours."""
    try:
        yield
    except OSError as exc:
        raise SnapshotFailed(f"{action}: {exc.strerror}") from exc
