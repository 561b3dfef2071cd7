"""create, run, start."""

from __future__ import annotations

import os

from wherry.linux import sockets
from wherry.linux.process import set_child_subreaper
from wherry.runtime import state
from wherry.runtime.bundle import CreateOptions, create_from_bundle
from wherry.runtime.command import Command, GlobalOptions, Warn
from wherry.runtime.create import Created
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.options import Arguments, Option

_CREATE_OPTIONS = (
    Option("bundle", "root of the bundle directory", short="b", default="."),
    Option("console-socket", "AF_UNIX socket that gets the pty's master"),
    Option("pidfd-socket", "AF_UNIX socket that gets a pidfd of the init"),
    Option("pid-file", "file to write the process id to"),
    Option("no-pivot", "put the root over the old one instead of pivot_root", flag=True),
    Option("no-new-keyring", "inherit the session keyring", flag=True),
    Option("preserve-fds", "pass N additional descriptors"),
)
_RUN_OPTIONS = (
    *_CREATE_OPTIONS,
    Option("detach", "do not wait for the process", short="d", flag=True),
    Option("keep", "do not delete the container after it exits", flag=True),
    Option("no-subreaper", "do not adopt orphaned processes", flag=True),
)


def _create_options(arguments: Arguments) -> CreateOptions:
    return CreateOptions(
        bundle=arguments.text("bundle"),
        console_socket=arguments.optional("console-socket"),
        pid_file=arguments.optional("pid-file"),
        pivot=not arguments.flag("no-pivot"),
        new_keyring=not arguments.flag("no-new-keyring"),
        preserve_fds=arguments.number("preserve-fds") + int(os.environ.get("LISTEN_FDS") or 0),
    )


def _made(options: GlobalOptions, arguments: Arguments, warn: Warn) -> tuple[state.ContainerState, Created]:
    kept, created = create_from_bundle(options.root, arguments.text("container-id"), _create_options(arguments))
    for warning in created.warnings:
        warn(warning)
    path = arguments.optional("pidfd-socket")
    if path:
        try:
            _send_pidfd(path, created.pidfd)
        except OSError as exc:
            from wherry.runtime.delete import delete_container

            created.close()
            delete_container(kept, force=True)
            raise RuntimeFailure(f"send the pidfd to {path}: {exc.strerror}") from exc
    return kept, created


def _send_pidfd(path: str, pidfd: int) -> None:
    endpoint = sockets.connect(path, sockets.SOCK_STREAM)
    try:
        sockets.send_with_fds(endpoint, b"pidfd", [pidfd])
    finally:
        endpoint.close()


def _create(options: GlobalOptions, arguments: Arguments, warn: Warn) -> int:
    _made(options, arguments, warn)[1].close()
    return 0


def _run(options: GlobalOptions, arguments: Arguments, warn: Warn) -> int:
    from wherry.runtime.delete import delete_container  # start-up cost, of create
    from wherry.runtime.foreground import hold_signals, wait_foreground
    from wherry.runtime.start_created import start_created

    detach = arguments.flag("detach")
    if not detach:
        hold_signals()
        if not arguments.flag("no-subreaper"):
            set_child_subreaper(on=True)
    kept, created = _made(options, arguments, warn)
    try:
        start_created(kept)
        if detach:
            return 0
        return wait_foreground(created.pid, created.pidfd, created.console_fd)
    except BaseException:
        delete_container(kept, force=True)
        raise
    finally:
        created.close()
        if not detach and not arguments.flag("keep") and os.path.isdir(kept.directory):
            delete_container(kept, force=True)


COMMANDS = {"create": Command(_create, _CREATE_OPTIONS), "run": Command(_run, _RUN_OPTIONS)}
