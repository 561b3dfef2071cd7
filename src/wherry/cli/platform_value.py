"""``--platform``."""

import os

from wherry.cli.errors import CommandFailed
from wherry.cli.options import Flags

_PUNCTUATION = str.maketrans("", "", "-_.")


def wanted_platform(flags: Flags) -> str:
    """``os[/arch[/variant]]`` as given or as the environment says; "" is the engine's own."""
    text = flags.text("platform") or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    check_platform(text)
    return text


def check_platform(text: str) -> None:
    """Raises CommandFailed in Docker's words."""
    parts = text.split("/") if text else []
    if len(parts) > 3 or not all(part.translate(_PUNCTUATION).isalnum() for part in parts):
        raise CommandFailed(
            f'error parsing specified platform: "{text}": cannot parse platform specifier: invalid argument'
        )
