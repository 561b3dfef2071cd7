"""``wherry-runtime``: the console script. It only re-executes itself; the rest is ``commands.py``.

No typing here and in what this imports: it would be a tenth of the time that a command takes.
"""

import sys

from wherry.runtime.reexec import reexecute


def main() -> None:
    """Entry point; does not return."""
    reexecute(sys.argv[1:])
