"""Before the zygote forks: what monitors will write is put side by side (docs/design/performance.md).

A monitor runs about ninety functions, each on a page with cold ones; running one counts a reference in its code
object, which copies that page. And what a monitor creates goes into holes that the imports left all over the heap.
Here the holes are filled, and the code that a monitor runs is copied behind them.
"""

import gc
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType, FunctionType

# pymalloc's classes of sizes that a bytes object can have (CPython Objects/obmalloc.c). That many neighbours in a row
# come from a pool that is new; another allocator may never give them.
_SIZES = range(48, 513, 16)
_NEIGHBOURS = 16
_MOST_BLOCKS = 500
_HEAD_BYTES = sys.getsizeof(b"")


def fill_holes() -> list[bytes]:
    """Blocks that occupy the holes of pymalloc's pools, to be kept: about 200 kB."""
    gc.collect()
    kept: list[bytes] = []
    for size in _SIZES:
        row = previous = 0
        for _ in range(_MOST_BLOCKS):
            block = bytes(size - _HEAD_BYTES)
            kept.append(block)
            row = row + 1 if id(block) == previous + size else 0
            previous = id(block)
            if row == _NEIGHBOURS:
                break
    return kept


def gather_code(play: Callable[[], None], also: Iterable[Callable[..., object]]) -> None:
    """Copy the code of every function that ``play`` runs, and of those that it must not run (``also``), to where the
    next objects go."""
    ran: set[CodeType] = {function.__code__ for function in also if isinstance(function, FunctionType)}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            ran.add(frame.f_code)

    sys.setprofile(note)
    try:
        play()
    finally:
        sys.setprofile(None)
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__ in ran:
            function.__code__ = function.__code__.replace()
