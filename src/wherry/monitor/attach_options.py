"""What an attached client wants: the part of an attach or exec request that travels with its socket."""

from __future__ import annotations

import binascii

from wherry.errors import InvalidParameter
from wherry.record import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"


class AttachOptions(NamedTuple):
    """``framed``: stdcopy headers (no tty). ``leftover``: stdin bytes that came with the HTTP head.
    ``detach_keys``: Docker's syntax; "" is the default, only looked at on terminals."""

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    framed: bool = True
    detach_keys: str = ""
    leftover: bytes = b""

    def to_message(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "stdin": self.stdin,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "framed": self.framed,
            "detach_keys": self.detach_keys,
            "leftover": binascii.b2a_base64(self.leftover, newline=False).decode(),
        }

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> AttachOptions:
        """Read the JSON form."""
        return cls(
            stdin=message["stdin"],
            stdout=message["stdout"],
            stderr=message["stderr"],
            framed=message["framed"],
            detach_keys=message["detach_keys"],
            leftover=binascii.a2b_base64(message["leftover"]),
        )


def parse_detach_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` → ``b"\\x10\\x11"`` (moby/term ``ToBytes``). "" is the default sequence.

    Raises InvalidParameter for a key that is neither one character nor ``ctrl-`` and one of ``a-z@[\\]^_``.
    """
    sequence = bytearray()
    for key in (text or DEFAULT_DETACH_KEYS).split(","):
        if len(key) == 1:
            sequence += key.encode()
        elif key.startswith("ctrl-") and len(key) == 6 and (key[5].isascii() and key[5].islower()):
            sequence.append(ord(key[5]) - ord("a") + 1)
        elif key.startswith("ctrl-") and key[5:] in {"@", "[", "\\", "]", "^", "_"}:
            sequence.append(ord(key[5]) - ord("@"))
        else:
            raise InvalidParameter(f"Unknown character: '{key}'")
    return bytes(sequence)
