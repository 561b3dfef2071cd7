"""``--publish`` and ``--expose`` values (go-connections ``nat`` for the rules and the messages)."""

from wherry.cli.csv_fields import split_fields
from wherry.cli.option_checks import is_ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    Bindings = dict[str, list[dict[str, str]]]


def parse_published(specs: list[str]) -> "Bindings":
    """Every ``-p`` as the API's PortBindings: ``{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}``."""
    bindings: Bindings = {}
    for spec in specs:
        for port, host_ip, host_port in _parse(_short(spec) if "=" in spec else spec):
            bindings.setdefault(port, []).append({"HostIp": host_ip, "HostPort": host_port})
    return bindings


def _short(spec: str) -> str:
    """``target=80,published=8080,protocol=udp`` in the short form."""
    target = published = ""
    protocol = "tcp"
    for field in split_fields(spec):
        key, equals, value = field.partition("=")
        if not equals or not value:
            raise ValueError(f"invalid field {field}")
        if key == "target":
            target = value
        elif key == "published":
            published = value
        elif key == "protocol":
            protocol = value
        elif key != "mode":
            raise ValueError(f"invalid field key {key}")
    return f"{published}:{target}/{protocol}" if published else f"{target}/{protocol}"


def _parse(spec: str) -> list[tuple[str, str, str]]:
    *front, container = spec.split(":")
    host_port = front.pop() if front else ""
    host_ip = ":".join(front)
    container, slash, protocol = container.partition("/")
    protocol = protocol.lower() if slash and protocol else "tcp"
    if host_ip.startswith("[") and host_ip.endswith("]"):
        host_ip = host_ip[1:-1]
    if host_ip and not is_ip(host_ip):
        raise ValueError(f"invalid IP address: {host_ip}")
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    try:
        first, last = _range(container)
    except ValueError:
        raise ValueError(f"invalid containerPort: {container}") from None
    host_first = host_last = 0
    if host_port:
        try:
            host_first, host_last = _range(host_port)
        except ValueError:
            raise ValueError(f"invalid hostPort: {host_port}") from None
        if last - first != host_last - host_first and last != first:
            raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host_port}")
    if protocol not in ("tcp", "udp", "sctp"):
        raise ValueError(f"invalid proto: {protocol}")
    rows: list[tuple[str, str, str]] = []
    for offset in range(last - first + 1):
        chosen = str(host_first + offset) if host_port else ""
        if first == last and host_first != host_last:
            chosen = f"{host_first}-{host_last}"
        rows.append((f"{first + offset}/{protocol}", host_ip, chosen))
    return rows


def _range(text: str) -> tuple[int, int]:
    """``80`` or ``80-90``. Raises ValueError in strconv's words."""
    if not text:
        raise ValueError("empty string specified for ports")
    first, dash, last = text.partition("-")
    start = _port(first)
    end = _port(last) if dash else start
    if end < start:
        raise ValueError(f"invalid range specified for port: {text}")
    return start, end


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def parse_exposed(specs: list[str]) -> list[str]:
    """Every ``--expose`` (``80``, ``80/udp``, ``80-90``) as ``port/protocol``."""
    ports: list[str] = []
    for spec in specs:
        if ":" in spec:
            raise ValueError(f"invalid port format for --expose: {spec}")
        numbers, slash, protocol = spec.partition("/")
        try:
            first, last = _range(numbers)
        except ValueError as exc:
            raise ValueError(f"invalid range format for --expose: {spec}, error: {exc}") from None
        ports += [f"{port}/{protocol.lower() if slash else 'tcp'}" for port in range(first, last + 1)]
    return ports
