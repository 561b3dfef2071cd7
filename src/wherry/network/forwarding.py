"""ip_forward of the host: switched on with the first bridge, put back with the last.

<run_root>/network.json    what it was before; there only while it differs
"""

import json
import os

from wherry.metadata.atomic_file import write_atomic

_IP_FORWARD = "/proc/sys/net/ipv4/ip_forward"


class Forwarding:
    """Serialised by the controller's lock; both methods are idempotent."""

    def __init__(self, run_root: str) -> None:
        self._state_file = f"{run_root}/network.json"

    def switch_on(self) -> None:
        """Forward, and remember if that was a change."""
        with open(_IP_FORWARD, encoding="ascii") as file:
            before = file.read().strip()
        if before == "1":
            return
        write_atomic(self._state_file, json.dumps({"ip_forward": before}).encode(), durable=False)
        with open(_IP_FORWARD, "w", encoding="ascii") as file:
            file.write("1")

    def restore(self) -> None:
        """Undo :meth:`switch_on`."""
        try:
            with open(self._state_file, encoding="ascii") as file:
                before = str(json.load(file)["ip_forward"])
        except FileNotFoundError:
            return
        with open(_IP_FORWARD, "w", encoding="ascii") as file:
            file.write(before)
        os.unlink(self._state_file)
