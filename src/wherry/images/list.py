"""Listing images, with Docker's filters."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from wherry.errors import InvalidParameter
from wherry.images.image import Image
from wherry.images.resolve import resolve
from wherry.images.stores import Stores
from wherry.oci import reference as references

Filters = Mapping[str, Sequence[str]]

KNOWN_FILTERS: Final = frozenset({"dangling", "label", "label!", "before", "since", "reference", "until"})
_DURATION: Final = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)


def list_images(stores: Stores, filters: Filters, *, all: bool = False) -> list[Image]:
    """The images that pass every filter, newest first. Without ``all``, no untagged parents of others."""
    for name in filters:
        if name not in KNOWN_FILTERS:
            raise InvalidParameter(f"invalid filter '{name}'")
    images = [stores.from_record(record) for record in stores.images.all()]
    parents = {image.parent_id for image in images}
    wanted = _Wanted(stores, filters)
    kept = []
    for image in images:
        if not all and not is_named(image) and image.id in parents:
            continue
        if wanted.passes(image):
            kept.append(wanted.narrowed(image))
    return sorted(kept, key=lambda image: (created_at(image), image.id), reverse=True)


def summary(image: Image, *, shared_size: int = -1, containers: int = -1) -> dict[str, Any]:
    """Docker's ImageSummary."""
    return {
        "Containers": containers,
        "Created": int(created_at(image)),
        "Id": image.id,
        "Labels": image.config.defaults.labels,
        "ParentId": image.parent_id,
        "RepoDigests": list(image.repo_digests),
        "RepoTags": list(image.repo_tags),
        "SharedSize": shared_size,
        "Size": image.size_bytes,
        "VirtualSize": image.size_bytes,
    }


def is_named(image: Image) -> bool:
    """Whether a tag or a digest names it; an image without is dangling."""
    return bool(image.repo_tags or image.repo_digests)


def created_at(image: Image) -> float:
    """Unix time of the config's ``created``; 0 when it has none."""
    return timestamp(image.config.created)


def timestamp(text: str | None) -> float:
    """Unix time of an RFC 3339 string; 0 for none and for nonsense, which some builders write."""
    if not text:
        return 0.0
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(\.\d+)?(Z|z|[+-]\d\d:\d\d)?", text, re.ASCII)
    if match is None:
        return 0.0
    zone = "+00:00" if match[3] in (None, "Z", "z") else match[3]
    try:
        return datetime.fromisoformat(match[1].upper().replace(" ", "T") + zone).timestamp() + float(match[2] or 0)
    except (ValueError, OverflowError):
        return 0.0


def until_time(value: str) -> float:
    """Unix time of a filter's ``until``: a duration back from now, seconds, or RFC 3339."""
    match = _DURATION.fullmatch(value)
    if match is not None and value:
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        back = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return (datetime.now(UTC) - back).timestamp()
    try:
        return float(value)
    except ValueError:
        found = timestamp(value if "T" in value else f"{value}T00:00:00Z")
    if not found:
        raise InvalidParameter(f'failed to parse value as time or duration: "{value}"')
    return found


def has_label(image: Image, wanted: str) -> bool:
    """``key`` or ``key=value``."""
    key, equals, value = wanted.partition("=")
    found = (image.config.defaults.labels or {}).get(key)
    return found is not None and (not equals or found == value)


def is_true(filters: Filters, name: str) -> bool | None:
    """A boolean filter; None when it is not given."""
    values = {value.lower() for value in filters.get(name, ())}
    if not values:
        return None
    if values <= {"1", "t", "true"}:
        return True
    if values <= {"0", "f", "false"}:
        return False
    raise InvalidParameter(f"invalid filter '{name}=[{' '.join(filters[name])}]'")


class _Wanted:
    def __init__(self, stores: Stores, filters: Filters) -> None:
        self._filters = filters
        self._dangling = is_true(filters, "dangling")
        self._before = min((created_at(resolve(stores, name)) for name in filters.get("before", ())), default=None)
        self._since = max((created_at(resolve(stores, name)) for name in filters.get("since", ())), default=None)
        self._until = min((until_time(value) for value in filters.get("until", ())), default=None)
        self._patterns = [_pattern(value) for value in filters.get("reference", ())]

    def passes(self, image: Image) -> bool:
        created = created_at(image)
        return (
            (self._dangling is None or self._dangling != is_named(image))
            and (self._before is None or created < self._before)
            and (self._since is None or created > self._since)
            and (self._until is None or created < self._until)
            and all(has_label(image, label) for label in self._filters.get("label", ()))
            and not any(has_label(image, label) for label in self._filters.get("label!", ()))
            and (not self._patterns or any(self._matches(name) for name in (*image.repo_tags, *image.repo_digests)))
        )

    def narrowed(self, image: Image) -> Image:
        """With a reference filter only the names that match are shown."""
        if not self._patterns:
            return image
        return image.with_names(
            tuple(name for name in image.repo_tags if self._matches(name)),
            tuple(name for name in image.repo_digests if self._matches(name)),
        )

    def _matches(self, name: str) -> bool:
        bare = references.parse(name).familiar_name
        return any(pattern.fullmatch(name) or pattern.fullmatch(bare) for pattern in self._patterns)


def _pattern(text: str) -> re.Pattern[str]:
    """Go's ``path.Match``: ``*`` and ``?`` stop at a slash."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[":
            end = text.find("]", position + 2)
            if end < 0:
                raise InvalidParameter("syntax error in pattern")
            inner = text[position + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[{inner}]")
            position = end
        else:
            parts.append(re.escape(char))
        position += 1
    try:
        return re.compile("".join(parts))
    except re.error as exc:
        raise InvalidParameter("syntax error in pattern") from exc
