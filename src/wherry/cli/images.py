"""``images``."""

import time

from wherry.cli.command import Command, Invocation
from wherry.cli.filters import parse_filters
from wherry.cli.options import Option
from wherry.cli.output import FORMAT_HELP, print_rows
from wherry.cli.reference import split_reference
from wherry.cli.text import short_id
from wherry.cli.timestamps import local_time
from wherry.cli.units import human_duration, human_size, human_size_4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size")
DIGEST_COLUMNS = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")
HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "VIRTUAL SIZE",
}


def _names(image: "dict[str, Any]", *, digests: bool) -> "Iterator[tuple[str, str, str]]":
    """(repository, tag, digest) for every line of an image."""
    tags = [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]
    with_digest = [entry for entry in image.get("RepoDigests") or [] if entry != "<none>@<none>"]
    by_repository: dict[str, list[str]] = {}
    for entry in with_digest:
        repository, digest = split_reference(entry)
        by_repository.setdefault(repository, []).append(digest)
    tagged: dict[str, list[str]] = {}
    for entry in tags:
        repository, tag = split_reference(entry)
        tagged.setdefault(repository, []).append(tag)
    if not tagged and not by_repository:
        yield "<none>", "<none>", "<none>"
        return
    for repository in sorted({*tagged, *by_repository}):
        found = by_repository.get(repository) or ["<none>"]
        if digests:
            for tag in tagged.get(repository) or ["<none>"]:
                for digest in found:
                    yield repository, tag, digest
        elif repository in tagged:
            for tag in tagged[repository]:
                yield repository, tag, "<none>"
        else:
            yield repository, "<none>", found[0]


def image_row(
    image: "dict[str, Any]", repository: str, tag: str, digest: str, *, truncate: bool, now: float
) -> "dict[str, Any]":
    """One line as the fields of Docker's imageContext."""
    return {
        "ID": short_id(image["Id"]) if truncate else image["Id"],
        "Repository": repository,
        "Tag": tag,
        "Digest": digest,
        "CreatedSince": human_duration(now - image["Created"]) + " ago" if image["Created"] > 0 else "N/A",
        "CreatedAt": local_time(image["Created"]),
        "Size": human_size(image["Size"]),
        "SharedSize": _optional(image.get("SharedSize", -1)),
        "UniqueSize": "N/A",
        "VirtualSize": human_size_4(image["Size"]),
        "Containers": "N/A" if image.get("Containers", -1) < 0 else str(image["Containers"]),
    }


def _optional(size: int) -> str:
    return "N/A" if size < 0 else human_size(size)


def _run(call: Invocation) -> int:
    flags, form = call.flags, call.flags.text("format")
    filters = parse_filters(flags.many("filter"))
    if call.args:
        filters["reference"] = {call.args[0]: True}
    images = call.app.images.list(all=flags.flag("all"), filters=filters)
    truncate = not flags.flag("no-trunc")
    digests = flags.flag("digests") or ".Digest" in form
    images.sort(key=lambda image: -image["Created"])
    now = time.time()
    rows = [
        image_row(image, repository, tag, digest, truncate=truncate, now=now)
        for image in images
        for repository, tag, digest in _names(image, digests=digests)
    ]
    if flags.flag("quiet") and form in ("", "table"):
        for row in rows:
            call.app.out(row["ID"])
        return 0
    columns = DIGEST_COLUMNS if flags.flag("digests") else COLUMNS
    print_rows(call.app, rows, columns, HEADERS, form, "*formatter.imageContext")
    return 0


IMAGES = Command(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    _run,
    options=(
        Option("all", "a", "bool", "Show all images (default hides intermediate images)"),
        Option("digests", "", "bool", "Show digests"),
        Option("filter", "f", "list", "Filter output based on conditions provided", metavar="filter",
               check="filters:check_filter"),
        Option("format", "", "string", FORMAT_HELP),
        Option("no-trunc", "", "bool", "Don't truncate output"),
        Option("quiet", "q", "bool", "Only show image IDs"),
    ),
    most=1,
    aliases=("image ls", "image list", "images"),
)  # fmt: skip
