"""Removing names, and images whose last name went; pruning. Conflicts are in Docker's words."""

from dataclasses import dataclass, field
from typing import Final

from wherry.errors import Conflict, InvalidParameter
from wherry.images.image import ContainerUse, ImageId, ImageNotFound
from wherry.images.list import Filters, created_at, has_label, is_named, is_true, until_time
from wherry.images.resolve import is_id, resolve
from wherry.images.store import ImageRecord
from wherry.images.stores import Freed, Stores
from wherry.oci import reference as references
from wherry.oci.digest import Digest

KNOWN_PRUNE_FILTERS: Final = frozenset({"dangling", "label", "label!", "until"})


@dataclass(slots=True)
class Removed:
    """Docker's list of ``{"Untagged": …}`` and ``{"Deleted": …}``, and the bytes that came free."""

    records: list[dict[str, str]] = field(default_factory=list)
    freed_bytes: int = 0


def remove(stores: Stores, name: str, *, force: bool, prune_children: bool) -> Removed:
    """Remove a name, and the image with its layers when that was the last one; by id all names of one repository.

    ``prune_children`` also removes the untagged parents that it leaves behind (the API's ``noprune`` inverted).
    Raises ImageNotFound and Conflict.
    """
    image = resolve(stores, name)
    record = _record(stores, image.id)
    removed = Removed()
    untagged = False
    if not is_id(name, image.id):
        if not force and _is_single(record):
            for use in stores.containers_using(image.id):
                raise Conflict(
                    f'conflict: unable to remove repository reference "{name}" (must force) - '
                    f"container {use.id[:12]} is using its referenced image {image.short_id}"
                )
        _untag_reference(stores, record, name, removed)
        record = _record(stores, image.id)
        if record.tags or record.digests:
            return removed
        untagged = True
    elif _is_single(record):
        _check_conflict(stores, record, force=force, referenced=False)
        _untag_all(stores, record, removed)
        record = _record(stores, image.id)
    _delete(stores, record, removed, force=force, prune=prune_children, quiet=untagged)
    return removed


def prune(stores: Stores, filters: Filters) -> Removed:
    """Delete unused images: dangling ones, or with ``dangling=false`` all that no container uses."""
    for name in filters:
        if name not in KNOWN_PRUNE_FILTERS:
            raise InvalidParameter(f"invalid filter '{name}'")
    only_dangling = is_true(filters, "dangling") is not False
    limits = [until_time(value) for value in filters.get("until", ())]
    removed = Removed()
    for record in stores.images.all():
        image = stores.from_record(record)
        if (only_dangling and is_named(image)) or any(created_at(image) >= limit for limit in limits):
            continue
        if not all(has_label(image, label) for label in filters.get("label", ())):
            continue
        if any(has_label(image, label) for label in filters.get("label!", ())):
            continue
        if stores.containers_using(image.id):
            continue
        try:
            _untag_all(stores, record, removed)
            _delete(stores, _record(stores, image.id), removed, force=False, prune=True, quiet=True)
        except ImageNotFound:
            continue  # gone with another one, as its parent
    removed.freed_bytes += _freed(stores.collect())
    stores.content.discard_partial(older_than_seconds=0)
    return removed


def _record(stores: Stores, image_id: ImageId) -> ImageRecord:
    record = stores.images.get(image_id)
    if record is None:
        raise ImageNotFound(image_id)
    return record


def _is_single(record: ImageRecord) -> bool:
    """At most one tag, and every name in one repository."""
    repositories = {name for name, _ in record.tags} | {name for name, _ in record.digests}
    return len(record.tags) <= 1 and len(repositories) <= 1


def _untag_reference(stores: Stores, record: ImageRecord, name: str, removed: Removed) -> None:
    parsed = references.parse(name)
    if parsed.digest is not None:
        _forget_digest(stores, record, parsed.repository, parsed.digest, removed)
        return
    tag = parsed.tag or references.DEFAULT_TAG
    _untag(stores, record, parsed.repository, tag, removed)
    if any(repository == parsed.repository for repository, other in record.tags if other != tag):
        return
    # With the repository's last tag its digests go too: they would keep an image that nobody can see. As with
    # dockerd the one event of the tag stands for all of them.
    for repository, digest in record.digests:
        if repository == parsed.repository and stores.images.forget_digest(repository, digest, record.id):
            removed.records.append({"Untagged": references.from_repository(repository, digest=digest).familiar})


def _untag_all(stores: Stores, record: ImageRecord, removed: Removed) -> None:
    """Every name goes, tags and digests in one order as Docker lists them."""
    names = [references.from_repository(repository, tag=tag) for repository, tag in record.tags]
    names += [references.from_repository(repository, digest=digest) for repository, digest in record.digests]
    for name in sorted(names, key=str):
        if name.digest is not None:
            _forget_digest(stores, record, name.repository, name.digest, removed)
        else:
            _untag(stores, record, name.repository, name.tag or references.DEFAULT_TAG, removed)


def _untag(stores: Stores, record: ImageRecord, repository: str, tag: str, removed: Removed) -> None:
    if stores.images.untag(repository, tag):
        _note_untagged(stores, record, references.from_repository(repository, tag=tag).familiar, removed)


def _forget_digest(stores: Stores, record: ImageRecord, repository: str, digest: Digest, removed: Removed) -> None:
    if stores.images.forget_digest(repository, digest, record.id):
        _note_untagged(stores, record, references.from_repository(repository, digest=digest).familiar, removed)


def _note_untagged(stores: Stores, record: ImageRecord, name: str, removed: Removed) -> None:
    removed.records.append({"Untagged": name})
    stores.publish("image", "untag", record.id, {"name": record.id})


def _delete(stores: Stores, record: ImageRecord, removed: Removed, *, force: bool, prune: bool, quiet: bool) -> None:
    try:
        _check_conflict(stores, record, force=force, referenced=True)
    except Conflict:
        if quiet and (record.tags or record.digests or stores.containers_using(record.id)):
            return
        if quiet and _children(stores, record.id):
            return
        raise
    _untag_all(stores, record, removed)
    blobs = {Digest(record.id), record.manifest_digest, *(layer.blob_digest for layer in record.layers)}
    blobs |= {digest for _, digest in record.digests}
    if not stores.images.delete(record.id):
        return  # another request named it, or deleted it, meanwhile
    removed.records.append({"Deleted": record.id})
    stores.publish("image", "delete", record.id, {"name": record.id})
    freed = stores.collect(among=blobs)
    removed.freed_bytes += freed.layer_bytes
    own = {layer.chain_id for layer in record.layers}
    removed.records += [{"Deleted": chain_id} for chain_id in freed.chain_ids if chain_id in own]
    parent = stores.images.get(record.parent_id) if prune and record.parent_id else None
    if parent is not None and not parent.tags and not parent.digests:
        _delete(stores, parent, removed, force=False, prune=True, quiet=True)


def _check_conflict(stores: Stores, record: ImageRecord, *, force: bool, referenced: bool) -> None:
    """Docker's hard conflicts (a child image, a running container), and unless forced the soft ones."""
    if _children(stores, record.id):
        raise _conflict(record, "cannot be forced", "image has dependent child images")
    uses = stores.containers_using(record.id)
    running = _first(uses, running=True)
    if running is not None:
        raise _conflict(record, "cannot be forced", f"image is being used by running container {running.id[:12]}")
    if force:
        return
    if referenced and (record.tags or record.digests):
        raise _conflict(record, "must be forced", "image is referenced in multiple repositories")
    stopped = _first(uses, running=False)
    if stopped is not None:
        raise _conflict(record, "must be forced", f"image is being used by stopped container {stopped.id[:12]}")


def _conflict(record: ImageRecord, remedy: str, reason: str) -> Conflict:
    short = record.id.partition(":")[2][:12]
    return Conflict(f"conflict: unable to delete {short} ({remedy}) - {reason}")


def _children(stores: Stores, image_id: ImageId) -> bool:
    return any(other.parent_id == image_id for other in stores.images.all())


def _first(uses: list[ContainerUse], *, running: bool) -> ContainerUse | None:
    return next((use for use in uses if use.running is running), None)


def _freed(freed: Freed) -> int:
    return freed.layer_bytes + freed.blob_bytes
