"""The key sequence that leaves a container without ending it (``ctrl-p,ctrl-q``), seen in what is typed."""

from wherry.errors import InvalidParameter

DEFAULT_KEYS = "ctrl-p,ctrl-q"
_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


def parse_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` or ``a,b`` as the bytes that a terminal sends for them."""
    keys = bytearray()
    for key in (text or DEFAULT_KEYS).split(","):
        if len(key) == 1:
            keys += key.encode()
        elif key.startswith("ctrl-") and len(key) == 6 and key[5] in _CONTROL:
            keys.append(_CONTROL.index(key[5]))
        else:
            raise InvalidParameter(f"Invalid escape keys ({text}) provided")
    return bytes(keys)


class DetachFilter:
    """Passes typed bytes on, holding back a beginning of the sequence until it is known to be none."""

    __slots__ = ("_held", "_keys", "detached")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0
        self.detached = False

    def feed(self, data: bytes) -> bytes:
        """What to send on. ``detached`` is True once the whole sequence came; nothing is sent after it."""
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    self.detached = True
                    return bytes(passed)
                continue
            passed += self._keys[: self._held]
            self._held = 0
            if byte == self._keys[0] and len(self._keys) > 1:
                self._held = 1
            else:
                passed.append(byte)
        return bytes(passed)
