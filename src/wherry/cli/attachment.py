"""What run, attach, start -a and exec share: the terminal's condition and size, signals passed on."""

import os

from wherry.cli.app import App
from wherry.cli.errors import CommandFailed
from wherry.errors import WherryError


def check_terminal(*, stdin: bool, tty: bool) -> None:
    """A terminal inside needs one here, if we are to type into it."""
    if stdin and tty and not os.isatty(0):
        raise CommandFailed("the input device is not a TTY")


def send_signal(app: App, container_id: str, number: int) -> None:
    """Pass a signal on. A container that has just ended is no error."""
    try:
        app.containers.kill(container_id, signal=str(number))
    except WherryError:
        pass  # as Docker: the exit, which is being waited for, tells more


def resize_container(app: App, container_id: str) -> None:
    """Give the container our terminal's size."""
    from wherry.cli.terminal import terminal_size

    size = terminal_size()
    if size is None:
        return
    try:
        app.containers.resize(container_id, *size)
    except WherryError:
        pass  # the container has ended, or begins with the next size
