"""Listing a repository's tags, page by page (distribution specification, "Listing Tags")."""

import re
from typing import Final

from wherry.errors import InvalidParameter
from wherry.oci import codec
from wherry.oci.codec import MAX_DOCUMENT_BYTES
from wherry.oci.reference import is_tag
from wherry.registry.client import Repository
from wherry.registry.errors import RegistryForbidden
from wherry.registry.origin import join_url, parse_url
from wherry.registry.transport import Response

MAX_TAGS: Final = 100_000
_NEXT: Final = re.compile(r'\s*<([^>]*)>\s*;\s*rel="?next"?', re.IGNORECASE)


class InvalidTagList(InvalidParameter):
    """A registry's list of tags that is none, or that never ends."""


def list_tags(repository: Repository) -> list[str]:
    """Every tag, in the registry's order. Raises RepositoryUnknown, InvalidTagList."""
    tags: dict[str, None] = {}
    path = "tags/list"
    while path:
        known = len(tags)
        page, path = repository.request("GET", path, {}, what="tags", receive=_page)
        tags.update(dict.fromkeys(page))
        if path and (len(tags) == known or len(tags) > MAX_TAGS):
            raise InvalidTagList(f"list tags of {repository.reference.familiar_name}: the list does not end")
    return list(tags)


def _page(response: Response) -> tuple[list[str], str]:
    """The tags of one page, and the path of the next one below the repository; empty when it is the last."""
    data = response.read_all(MAX_DOCUMENT_BYTES)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InvalidTagList(f"list tags: an answer of more than {MAX_DOCUMENT_BYTES} bytes")
    document = codec.decode_any(data, what="list of tags")
    found = document.get("tags") if isinstance(document, dict) else document
    if found is None:
        found = []
    if not isinstance(found, list) or not all(isinstance(tag, str) and is_tag(tag) for tag in found):
        raise InvalidTagList("list tags: not the JSON of a list of tags")
    link = _NEXT.match(response.header("Link"))
    return found, _next_path(response.url, link[1]) if link else ""


def _next_path(url: str, link: str) -> str:
    origin, path = parse_url(join_url(url, link))
    here, _ = parse_url(url)
    _, separator, query = path.partition("?")
    # Behind a proxy a registry may name itself by another scheme: only the query is taken over.
    if origin.host != here.host or not separator:
        raise RegistryForbidden(f"refuse next page of tags at {origin}: another host")
    return f"tags/list?{query}"
