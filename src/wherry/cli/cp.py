"""``cp``: the rules of docker's cp (the tables in its documentation), over the archive endpoints."""

import os
import sys

from wherry.cli.app import App, write_all
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.files import pieces_of
from wherry.cli.options import Option
from wherry.client.containers import path_stat
from wherry.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GO_DIRECTORY = 1 << 31
_GO_SYMLINK = 1 << 27


def split_target(text: str) -> tuple[str, str]:
    """``(container, path)``; a local path has no container."""
    if os.path.isabs(text) or text.startswith("."):
        return "", text
    container, colon, path = text.partition(":")
    return (container, path) if colon and container else ("", text)


def _run(call: Invocation) -> int:
    flags = call.flags
    source_container, source = split_target(call.args[0])
    target_container, target = split_target(call.args[1])
    if source_container and target_container:
        raise CommandFailed("copying between containers is not supported")
    if not source_container and not target_container:
        raise CommandFailed("must specify at least one container source")
    if source_container:
        return _from_container(call.app, source_container, source, target, follow=flags.flag("follow-link"))
    return _to_container(
        call.app,
        target_container,
        source,
        target,
        follow=flags.flag("follow-link"),
        archive=flags.flag("archive"),
    )


def _from_container(app: App, container: str, source: str, target: str, *, follow: bool) -> int:
    from wherry.cli.archive_extract import extract

    if follow:
        source = _followed(app, container, source)
    response = app.containers.get_archive(container, source)
    stat = path_stat(response)
    if target == "-":
        for data in response.chunks():
            write_all(1, data)
        return 0
    is_directory = bool(stat["mode"] & _GO_DIRECTORY)
    contents = source == "." or source.endswith("/.")
    folder, name = _place(target, str(stat["name"]), is_directory=is_directory, contents=contents)
    extract(response.chunks(), folder, rename_to=name)
    _success(app, target)
    return 0


def _followed(app: App, container: str, path: str) -> str:
    """The path that a symbolic link inside leads to."""
    stat = app.containers.stat_path(container, path)
    if stat["mode"] & _GO_SYMLINK:
        link = str(stat["linkTarget"])
        return link if link.startswith("/") else os.path.join(os.path.dirname(path), link)
    return path


def _place(target: str, name: str, *, is_directory: bool, contents: bool) -> tuple[str, str]:
    """Where the archive goes: the folder to unpack into, and the name that its root gets there ('' is none)."""
    exists = os.path.exists(target)
    if os.path.isdir(target):
        return target, "" if is_directory and contents else name
    if exists:
        if is_directory:
            raise CommandFailed("cannot copy directory")
        if target.endswith("/"):
            raise CommandFailed("not a directory")
        return os.path.dirname(target) or ".", os.path.basename(target)
    if not is_directory and target.endswith("/"):
        raise CommandFailed("no such directory")
    bare = target.rstrip("/")
    parent = os.path.dirname(bare) or "."
    if not os.path.isdir(parent):
        raise CommandFailed(f'invalid output path: directory "{parent}" does not exist')
    return parent, os.path.basename(bare)


def _to_container(app: App, container: str, source: str, target: str, *, follow: bool, archive: bool) -> int:
    from wherry.cli.archive_pack import pack

    stat = _target_stat(app, container, target)
    if source == "-":
        if stat is None or not stat["mode"] & _GO_DIRECTORY:
            raise CommandFailed(f'destination "{container}:{target}" must be a directory')
        app.containers.put_archive(container, target, pieces_of(0), copy_owner=archive)
        return 0
    local = os.path.realpath(source) if follow else source
    if not os.path.lexists(local):
        shown = f"/{source}" if source.startswith("/") else source
        raise CommandFailed(f"lstat {shown}: no such file or directory")
    bare = local.rstrip("/") or "/"
    name = os.path.basename(os.path.abspath(bare))
    is_directory = os.path.isdir(bare) and not (os.path.islink(bare) and not source.endswith("/"))
    if stat is not None and stat["mode"] & _GO_DIRECTORY:
        folder = target
        inside = "" if is_directory and (source == "." or source.endswith("/.")) else name
    else:
        if stat is not None and is_directory:
            raise CommandFailed("cannot copy directory")
        if target.endswith("/") and not is_directory:
            raise CommandFailed("no such directory" if stat is None else "not a directory")
        folder, _, inside = target.rstrip("/").rpartition("/")
        folder = folder or "/"
    app.containers.put_archive(container, folder, pack(bare, inside), no_overwrite=True, copy_owner=archive)
    _success(app, f"{container}:{target}")
    return 0


def _target_stat(app: App, container: str, path: str) -> "dict[str, Any] | None":
    """The stat of a path inside, through a link; None if it is not there."""
    try:
        stat = app.containers.stat_path(container, path)
        if stat["mode"] & _GO_SYMLINK:
            stat = app.containers.stat_path(container, _followed(app, container, path))
    except NotFound as exc:
        if "No such container" in exc.message:
            raise
        return None
    return stat


def _success(app: App, target: str) -> None:
    if sys.stderr.isatty():
        app.err(f"Successfully copied to {target}")


CP = Command(
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem",
    _run,
    options=(
        Option("archive", "a", "bool", "Archive mode (copy all uid/gid information)"),
        Option("follow-link", "L", "bool", "Always follow symbol link in SRC_PATH"),
        Option("quiet", "q", "bool",
               "Suppress progress output during copy. Progress output is automatically suppressed if no terminal "
               "is attached"),
    ),
    least=2,
    most=2,
    aliases=("container cp", "cp"),
    long="Copy files/folders between a container and the local filesystem\n\n"
    "Use '-' as the source to read a tar archive from stdin\n"
    "and extract it to a directory destination in a container.\n"
    "Use '-' as the destination to stream a tar archive of a\n"
    "container source to stdout.",
)  # fmt: skip
