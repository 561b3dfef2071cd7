"""``wherry-runtime``: the way in. What enters a container is done by a protected interpreter (``reexec.py``).

Half of a command's time is the interpreter's start. So the commands that only look at a container or signal it run
at once, and nothing on the way of any command imports re, typing, enum, collections, json or socket
(``tests/runtime/test_imports.py``).
"""

import sys

# The commands whose process, or a child of it, enters a container's namespaces.
_ENTERING = frozenset(["create", "run", "exec"])


def main() -> None:
    """Entry point; does not return."""
    # One word too many re-executed (a container may be called "run") costs time, one too few would be S33.
    if _ENTERING.isdisjoint(sys.argv[1:]):
        from wherry.runtime.commands import run

        run()
    from wherry.runtime.reexec import reexecute

    reexecute(sys.argv[1:])
