"""Giving an image another name."""

from wherry.errors import InvalidParameter
from wherry.images.resolve import resolve
from wherry.images.stores import Stores
from wherry.oci import reference as references


def tag(stores: Stores, source: str, repository: str, tag_name: str) -> None:
    """Point ``repository:tag`` (``latest`` when empty) at the image ``source``."""
    if tag_name and not references.is_tag(tag_name):
        raise InvalidParameter("invalid tag format")
    target = references.parse(f"{repository}:{tag_name}" if tag_name else repository).with_default_tag()
    if target.digest is not None or target.tag is None:
        raise InvalidParameter("refusing to create a tag with a digest reference")
    if target.familiar_name == "sha256":
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    image = resolve(stores, source)
    with stores.content.leases.lease() as lease:
        lease.add(image.id)
        stores.images.tag(target.repository, target.tag, image.id)
    stores.publish("image", "tag", image.id, {"name": target.familiar})
