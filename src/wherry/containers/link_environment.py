"""The variables of a link, as moby's ``daemon/links`` names them: where the target is, its ports, its environment.

They tell the one container the other's variables (secrets in them, too). It is what ``--link`` was made for, and why
networks took its place.
"""

import posixpath
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Of the image rather than of what the target serves.
_LEFT_OUT = ("HOME", "PATH")


class _Port(NamedTuple):
    number: int
    protocol: str

    def url(self, address: str) -> str:
        """``tcp://172.17.0.2:80``."""
        return f"{self.protocol}://{address}:{self.number}"


def environment(path: str, address: str, ports: Iterable[str], variables: Sequence[str]) -> list[str]:
    """``path`` is ``/<container>/<alias>``; ``ports`` are ``80/tcp``, ``variables`` the target's ``NAME=value``."""
    prefix = posixpath.basename(path).upper().replace("-", "_")
    runs = _runs(sorted(map(_split, ports), key=lambda port: (port.protocol != "tcp", port.protocol, port.number)))
    result = []
    if runs:
        result.append(f"{prefix}_PORT={runs[0][0].url(address)}")
    for run in runs:
        for port in run:
            name = f"{prefix}_PORT_{port.number}_{port.protocol.upper()}"
            result += [
                f"{name}={port.url(address)}",
                f"{name}_ADDR={address}",
                f"{name}_PORT={port.number}",
                f"{name}_PROTO={port.protocol}",
            ]
        first, last = run[0], run[-1]
        if first is not last:
            name = f"{prefix}_PORT_{first.number}_{first.protocol.upper()}"
            result += [
                f"{name}_START={first.url(address)}",
                f"{name}_PORT_START={first.number}",
                f"{name}_END={last.url(address)}",
                f"{name}_PORT_END={last.number}",
            ]
    result.append(f"{prefix}_NAME={path}")
    for variable in variables:
        name, separator, value = variable.partition("=")
        if separator and name not in _LEFT_OUT:
            result.append(f"{prefix}_ENV_{name}={value}")
    return result


def _split(port: str) -> _Port:
    number, _, protocol = port.partition("/")
    return _Port(int(number), protocol or "tcp")


def _runs(ports: Sequence[_Port]) -> list[list[_Port]]:
    """Neighbouring ports of one protocol together."""
    runs: list[list[_Port]] = []
    for port in ports:
        if runs and runs[-1][-1] == _Port(port.number - 1, port.protocol):
            runs[-1].append(port)
        else:
            runs.append([port])
    return runs
