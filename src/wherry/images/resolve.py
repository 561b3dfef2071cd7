"""From what a user types to an image: a reference, an id, the beginning of an id."""

import re
from typing import Final

from wherry.errors import InvalidParameter, NotFound
from wherry.images.image import Image, ImageId, ImageNotFound
from wherry.images.stores import Stores
from wherry.oci import reference as references
from wherry.oci.digest import is_digest
from wherry.oci.platform import Platform, matches
from wherry.oci.reference import InvalidReference, Reference

_PREFIX: Final = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})", re.ASCII)


class PlatformNotHere(NotFound):
    """The image is here, but for another platform."""


class AmbiguousId(InvalidParameter):
    """An id prefix that fits several images."""


def resolve(stores: Stores, name: str, platform: Platform | None = None) -> Image:
    """Raises ImageNotFound, AmbiguousId, PlatformNotHere, or InvalidReference for what can be no name."""
    candidates = [stores.image(image_id) for image_id in _candidates(stores, name)]
    if not candidates:
        raise ImageNotFound(shown_name(name))
    if platform is None:
        return candidates[0]
    for image in candidates:
        if matches(platform, image.config.platform):
            return image
    raise PlatformNotHere(
        f"image with reference {name} was found but does not match the specified platform: "
        f"wanted {platform}, actual: {candidates[0].config.platform}"
    )


def _candidates(stores: Stores, name: str) -> list[ImageId]:
    if is_digest(name):
        return [ImageId(name)] if stores.images.get(name) is not None else []
    parsed = _parse(name)
    if parsed is not None:
        if parsed.digest is not None:
            found = stores.images.by_digest(parsed.repository, parsed.digest)
        else:
            tagged = stores.images.by_tag(parsed.repository, parsed.tag or references.DEFAULT_TAG)
            found = [tagged] if tagged is not None else []
        if found:
            return found
    prefix = _PREFIX.fullmatch(name)
    if prefix is not None:
        found = stores.images.by_prefix(prefix[1])
        if len(found) > 1:
            raise AmbiguousId(f"image ID prefix {name} is ambiguous", hint="Give more digits of the id.")
        return found
    return []


def _parse(name: str) -> Reference | None:
    try:
        return references.parse(name)
    except InvalidReference:
        if _PREFIX.fullmatch(name):
            return None
        raise


def is_id(name: str, image_id: ImageId) -> bool:
    """Whether ``name`` is the image's id or its beginning, rather than a reference."""
    return image_id.startswith(name) or image_id.partition(":")[2].startswith(name)


def shown_name(name: str) -> str:
    """A name as "No such image" prints it: familiar and tagged, ids as they are."""
    try:
        return references.parse(name).with_default_tag().familiar
    except InvalidReference:
        return name
