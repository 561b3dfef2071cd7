"""A classic BPF machine with the instructions that seccomp allows: what a filter answers, and in how many steps."""

import struct
from collections.abc import Sequence

_INSTRUCTION = struct.Struct("=HBBI")


def run(program: bytes, arch: int, number: int, arguments: Sequence[int] = (0,) * 6) -> int:
    """The action for one call."""
    return trace(program, arch, number, arguments)[0]


def trace(program: bytes, arch: int, number: int, arguments: Sequence[int] = (0,) * 6) -> tuple[int, int]:
    """(action, instructions executed). Raises ValueError for what the kernel's checker would refuse."""
    data = struct.pack("=IIQ6Q", number, arch, 0x1000, *arguments)
    length = len(program) // 8
    accumulator = index = steps = 0
    while index < length:
        code, if_true, if_false, operand = _INSTRUCTION.unpack_from(program, 8 * index)
        steps += 1
        index += 1
        if code == 0x20:
            if operand % 4 or operand > 60:
                raise ValueError(f"load at {operand}")
            (accumulator,) = struct.unpack_from("=I", data, operand)
        elif code == 0x05:
            index += operand
        elif code == 0x15:
            index += if_true if accumulator == operand else if_false
        elif code == 0x25:
            index += if_true if accumulator > operand else if_false
        elif code == 0x35:
            index += if_true if accumulator >= operand else if_false
        elif code == 0x45:
            index += if_true if accumulator & operand else if_false
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x06:
            return operand, steps
        else:
            raise ValueError(f"instruction {code:#x}")
    raise ValueError("ran off the end")
