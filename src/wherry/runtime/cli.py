"""``wherry-runtime``: the console script. Only what re-executes it is imported here; the rest is ``commands.py``."""

import sys
from typing import NoReturn

from wherry.runtime.reexec import reexecute


def main() -> NoReturn:
    """Entry point."""
    reexecute(sys.argv[1:])
