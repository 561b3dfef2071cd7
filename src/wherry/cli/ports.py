"""The PORTS column (docker/cli ``DisplayablePorts``): neighbours with the same address are joined to ranges."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def display_ports(ports: "list[dict[str, Any]]") -> str:
    """``0.0.0.0:8080->80/tcp, 9000-9002/tcp`` of a summary's Ports."""
    parts: list[str] = []
    mapped: list[str] = []
    groups: dict[tuple[str, str], list[int]] = {}
    for port in sorted(ports, key=_order):
        private, public, host = port["PrivatePort"], port.get("PublicPort", 0), port.get("IP", "")
        if host and public != private:
            mapped.append(f"{join_host(host, str(public))}->{private}/{port['Type']}")
            continue
        group = groups.get((host, port["Type"]))
        if group is None:
            groups[host, port["Type"]] = [private, private]
        elif private == group[1] + 1:
            group[1] = private
        else:
            parts.append(_range((host, port["Type"]), group))
            groups[host, port["Type"]] = [private, private]
    parts += [_range(key, group) for key, group in groups.items()]
    return ", ".join(parts + mapped)


def _order(port: "dict[str, Any]") -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP", ""), port.get("PublicPort", 0), port["Type"]


def _range(key: tuple[str, str], group: list[int]) -> str:
    host, protocol = key
    numbers = str(group[0]) if group[0] == group[1] else f"{group[0]}-{group[1]}"
    return f"{join_host(host, numbers)}->{numbers}/{protocol}" if host else f"{numbers}/{protocol}"


def join_host(host: str, port: str) -> str:
    """Go's net.JoinHostPort."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
