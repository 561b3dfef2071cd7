"""An assembler for classic BPF as seccomp runs it. Which system call gets which action is ``bpf.py``.

Jumps in classic BPF only go forward, conditional ones at most 255 instructions. So the program is built from its
end: a block's successors exist when it is added, a label is the number of instructions from the block's
start to the program's end, and a target that is out of reach gets a stepping stone just in front.
"""

from __future__ import annotations

import struct

from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Opcodes (linux/bpf_common.h), all of the "word" size with constant operand.
LOAD = 0x20
JUMP = 0x05
JUMP_EQUAL = 0x15
JUMP_GREATER = 0x25
JUMP_GREATER_EQUAL = 0x35
AND = 0x54
RETURN = 0x06

# struct seccomp_data on a little-endian machine.
OFFSET_NUMBER = 0
OFFSET_ARCH = 4
OFFSET_ARGUMENTS = 16

MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS: the kernel refuses longer programs with EINVAL."""

# Below 255: reaching one target may put a stepping stone between here and the other.
_REACH = 253

_LOW = 0xFFFFFFFF


class Assembler:
    """A program under construction. Every method adds a block in front and returns its label."""

    def __init__(self) -> None:
        self._reversed: list[tuple[int, int, int, int]] = []
        self._latest_return: dict[int, int] = {}
        self._returned: dict[int, int] = {}

    def finish(self) -> bytes:
        """The program as an array of struct sock_filter, starting at the block added last."""
        pack = struct.Struct("=HBBI").pack
        return b"".join([pack(*instruction) for instruction in reversed(self._reversed)])

    def returning(self, value: int) -> int:
        """``return value``; shared with an earlier one where that is near."""
        label = self._latest_return.get(value)
        if label is None or len(self._reversed) - label > _REACH:
            label = self._add(RETURN, value)
            self._latest_return[value] = label
            self._returned[label] = value
        return label

    def load(self, offset: int, then: int) -> int:
        """``A = word at offset``, then go on at ``then``."""
        self._fall_into(then)
        return self._add(LOAD, offset)

    def masked(self, mask: int, then: int) -> int:
        """``A &= mask``, then go on at ``then``."""
        self._fall_into(then)
        return self._add(AND, mask)

    def branch(self, opcode: int, value: int, if_true: int, if_false: int) -> int:
        """``A <opcode> value ? if_true : if_false``; just the target when both are the same."""
        if if_true == if_false:
            return if_true
        near_true = self._within_reach(if_true)
        near_false = self._within_reach(if_false)
        here = len(self._reversed)
        return self._add(opcode, value, here - near_true, here - near_false)

    def search(self, starts: Sequence[int], targets: Sequence[int]) -> int:
        """The target of the interval that A is in: interval i is [starts[i], starts[i + 1]). A binary tree."""
        if len(targets) == 1:
            return targets[0]
        middle = len(targets) // 2
        upper = self.search(starts[middle:], targets[middle:])
        lower = self.search(starts[:middle], targets[:middle])
        return self.branch(JUMP_GREATER_EQUAL, starts[middle], upper, lower)

    def compare(self, index: int, operator: str, value: int, value_two: int, targets: tuple[int, int], *,
                wide: bool) -> int:  # fmt: skip
        """Compare argument ``index`` by an OCI operator; ``targets`` are (matched, not matched).

        Without ``wide`` (a 32-bit ABI) only the low halves count, as in libseccomp.
        Raises KeyError for an unknown operator.
        """
        matched, missed = targets
        if operator in ("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE"):
            operator = {"SCMP_CMP_NE": "SCMP_CMP_EQ", "SCMP_CMP_LT": "SCMP_CMP_GE", "SCMP_CMP_LE": "SCMP_CMP_GT"}[
                operator
            ]
            matched, missed = missed, matched
        low_offset = OFFSET_ARGUMENTS + 8 * index
        if operator == "SCMP_CMP_MASKED_EQ":
            mask, datum = value, value_two & value
            low = self.branch(JUMP_EQUAL, datum & _LOW, matched, missed)
            low = self.load(low_offset, self.masked(mask & _LOW, low))
            if not wide or not mask >> 32:
                return low
            high = self.branch(JUMP_EQUAL, datum >> 32, low, missed)
            return self.load(low_offset + 4, self.masked(mask >> 32, high))
        opcode = {"SCMP_CMP_EQ": JUMP_EQUAL, "SCMP_CMP_GT": JUMP_GREATER, "SCMP_CMP_GE": JUMP_GREATER_EQUAL}[operator]
        low = self.load(low_offset, self.branch(opcode, value & _LOW, matched, missed))
        if not wide:
            return low
        high = self.branch(JUMP_EQUAL, value >> 32, low, missed)
        if opcode != JUMP_EQUAL:
            high = self.branch(JUMP_GREATER, value >> 32, matched, high)
        return self.load(low_offset + 4, high)

    def _add(self, opcode: int, operand: int, if_true: int = 0, if_false: int = 0) -> int:
        self._reversed.append((opcode, if_true, if_false, operand))
        return len(self._reversed)

    def _fall_into(self, label: int) -> None:
        distance = len(self._reversed) - label
        if distance:
            self._add(JUMP, distance)

    def _within_reach(self, label: int) -> int:
        distance = len(self._reversed) - label
        if distance <= _REACH:
            return label
        if label in self._returned:
            return self.returning(self._returned[label])
        return self._add(JUMP, distance)
