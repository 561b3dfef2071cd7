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

import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.linux.filesystem import sync_directory
from wherry.snapshots import diff, layer
from wherry.snapshots.chain_id import ChainId, extend
from wherry.snapshots.failure import storing
from wherry.snapshots.ingest import discard, ingest
from wherry.snapshots.init_layer import InitLayers
from wherry.snapshots.layer import Layer
from wherry.snapshots.lower import copy_root_ownership, directory_status, ownership, root_ownership
from wherry.snapshots.overlay_mount import open_merged
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
from wherry.snapshots.trash import Trash
from wherry.snapshots.usage import measure
from wherry.snapshots.volatile import allow_mount

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
        path = f"{self._root}/ingest/{secrets.token_hex(8)}"
        try:
            made = ingest(
                path,
                tar,
                diff_id=diff_id,
                parent=parent,
                below=self._below(parent),
                max_bytes=max_bytes,
                max_entries=max_entries,
            )
            self._commit(path, made)
        except LayerRejected as exc:
            raise LayerRejected(f"unpack layer {diff_id}: {exc}", hint=exc.hint) from exc
        except SnapshotFailed as exc:
            raise SnapshotFailed(f"unpack layer {diff_id}: {exc}", hint=exc.hint) from exc
        finally:
            if parent is not None:
                with self._lock:
                    self._pending[parent] -= 1
            discard(path)
        return chain_id

    def _commit(self, path: str, made: Layer) -> None:
        """Give the directory its name; when another thread was faster, its layer counts and ours goes."""
        final = layer.directory(self._root, made.chain_id)
        with self._lock, storing("commit"):
            if made.chain_id in self._layers:
                return
            self._trash.take(final)  # a directory of this name that is not in the index is damaged
            os.rename(path, final)
            try:
                sync_directory(f"{self._root}/layers")
                os.symlink(f"../layers/{made.chain_id[7:]}/fs", f"{self._root}/l/{made.link}")
            except OSError:
                self._trash.take(final)  # absent, not half there (R07)
                raise
            self._layers[made.chain_id] = made

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
            with storing(f"prepare snapshot {key}"):
                os.mkdir(temporary, 0o700)
                os.mkdir(f"{temporary}/work", 0o700)
                os.mkdir(f"{temporary}/upper", 0o755)
                upper = os.open(f"{temporary}/upper", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    copy_root_ownership(self._below(parent), upper)
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
        lower = [self._init_layers.ensure(os.readlink(f"{path}/init")), *self._below(parent)]
        with storing(f"prepare the mount of snapshot {key}"):
            allow_mount(path, key, self._trash, volatile=volatile)
        return Overlay(lower=lower, upper=f"{path}/upper", work=f"{path}/work", volatile=volatile, readonly=readonly)

    def changes(self, key: str) -> Iterator[Change]:
        parent = self._parent_of_active(key)
        init = self._init_layers.ensure(os.readlink(f"{self._root}/active/{key}/init"))
        lower = [init, *self._below(parent)]
        with _opened(f"{self._root}/active/{key}/upper") as upper_fd:
            lower_fd = open_merged(f"{self._root}/l", lower)
            try:
                yield from diff.changes(upper_fd, lower_fd)
            finally:
                os.close(lower_fd)

    def write_diff(self, key: str, out: Sink) -> None:
        parent = self._parent_of_active(key)
        with _opened(f"{self._root}/active/{key}/upper") as upper_fd:
            changed = ownership(os.fstat(upper_fd)) != root_ownership(self._below(parent))
            diff.write_layer(upper_fd, out, root_changed=changed)

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
        with storing(f"mount snapshot {key}"):
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
        with self._lock, storing(f"remove snapshot {key}"):
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

    def _below(self, parent: ChainId | None) -> list[str]:
        return self.view_layers(parent) if parent is not None else []

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
        name = self._init_layers.name_for(directory_status(self._below(parent), b"etc"))
        self._init_layers.ensure(name)
        return name


@contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
