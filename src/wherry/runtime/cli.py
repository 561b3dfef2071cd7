"""``wherry-runtime``: the console script. It re-executes itself sealed; the commands are ``commands.py``."""

import sys


def main() -> None:
    """Entry point; does not return."""
    from wherry.runtime.reexec import is_sealed, reexecute  # start-up cost: only this much before the re-execution

    if not is_sealed():
        reexecute(sys.argv[1:])
    from wherry.runtime.commands import run  # start-up cost

    run()
