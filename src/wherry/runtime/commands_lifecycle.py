"""create, run, start, kill, delete."""

import argparse
import os
from collections.abc import Callable

from wherry.errors import NotFound
from wherry.linux.process import set_child_subreaper
from wherry.runtime import state
from wherry.runtime.bundle import CreateOptions, create_from_bundle, start_created
from wherry.runtime.command import Arguments, Command, GlobalOptions, add_container_id
from wherry.runtime.delete import delete_container
from wherry.runtime.foreground import hold_signals, wait_foreground
from wherry.runtime.kill import kill_container, parse_signal

Warn = Callable[[str], None]


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", "-b", default=".", help="root of the bundle directory")
    parser.add_argument("--console-socket", help="AF_UNIX socket that gets the pty's master")
    parser.add_argument("--pid-file", help="file to write the process id to")
    parser.add_argument("--no-pivot", action="store_true", help="move the root instead of pivot_root")
    parser.add_argument("--no-new-keyring", action="store_true", help="inherit the session keyring")
    parser.add_argument("--preserve-fds", type=int, default=0, help="pass N additional descriptors")
    add_container_id(parser)


def _create_options(arguments: Arguments) -> CreateOptions:
    return CreateOptions(
        bundle=arguments.text("bundle"),
        console_socket=arguments.optional("console_socket"),
        pid_file=arguments.optional("pid_file"),
        pivot=not arguments.flag("no_pivot"),
        new_keyring=not arguments.flag("no_new_keyring"),
        preserve_fds=arguments.number("preserve_fds") + int(os.environ.get("LISTEN_FDS") or 0),
    )


def _create(options: GlobalOptions, arguments: Arguments, warn: Warn) -> int:
    _, created = create_from_bundle(options.root, arguments.text("container_id"), _create_options(arguments))
    for warning in created.warnings:
        warn(warning)
    created.close()
    return 0


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    _create_arguments(parser)
    parser.add_argument("--detach", "-d", action="store_true", help="do not wait for the process")
    parser.add_argument("--keep", action="store_true", help="do not delete the container after it exits")
    parser.add_argument("--no-subreaper", action="store_true", help="do not adopt orphaned processes")


def _run(options: GlobalOptions, arguments: Arguments, warn: Warn) -> int:
    detach = arguments.flag("detach")
    if not detach:
        hold_signals()
    if not detach and not arguments.flag("no_subreaper"):
        set_child_subreaper(on=True)
    kept, created = create_from_bundle(options.root, arguments.text("container_id"), _create_options(arguments))
    for warning in created.warnings:
        warn(warning)
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


def _start(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    start_created(state.load(options.root, arguments.text("container_id")))
    return 0


def _kill_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", "-a", action="store_true", help="signal every process of the container")
    add_container_id(parser)
    parser.add_argument("signal", nargs="?", default="TERM")


def _kill(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    kept = state.load(options.root, arguments.text("container_id"))
    kill_container(kept, parse_signal(arguments.text("signal")), everything=arguments.flag("all"))
    return 0


def _delete_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", "-f", action="store_true", help="kill the container if it still runs")
    add_container_id(parser)


def _delete(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    force = arguments.flag("force")
    try:
        kept = state.load(options.root, arguments.text("container_id"))
    except NotFound:
        if force:
            return 0
        raise
    delete_container(kept, force=force)
    return 0


COMMANDS = {
    "create": Command("create a container", _create_arguments, _create),
    "start": Command("executes the user defined process in a created container", add_container_id, _start),
    "run": Command("create and run a container", _run_arguments, _run),
    "kill": Command("sends a signal (default: SIGTERM) to the container's init process", _kill_arguments, _kill),
    "delete": Command("delete any resources held by the container", _delete_arguments, _delete),
}
