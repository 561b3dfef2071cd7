"""Filters of the container list (moby ``daemon/list.go``): names AND, values of one name OR (labels AND)."""

import re
from collections.abc import Callable, Mapping, Sequence

from wherry.containers.container import Container, Status
from wherry.containers.ports import parse_port
from wherry.containers.services import Services
from wherry.errors import InvalidParameter
from wherry.images.image import ImageNotFound

_HEALTH = ("none", "starting", "healthy", "unhealthy")


class ListFilter:
    """One request's filters, checked and resolved once."""

    def __init__(self, services: Services, filters: Mapping[str, Sequence[str]]) -> None:
        self._services = services
        self._filters = filters
        self._tests: list[Callable[[Container], bool]] = []
        for name, values in filters.items():
            if values:
                maker = getattr(self, f"_{name.replace('-', '_')}", None)
                if maker is None:
                    raise InvalidParameter(f"invalid filter '{name}'")
                self._tests.append(maker(list(values)))

    @property
    def includes_stopped(self) -> bool:
        """Filters on the state show stopped containers too."""
        return any(self._filters.get(name) for name in ("status", "exited", "before", "since"))

    def matches(self, container: Container) -> bool:
        """Whether every filter accepts the container."""
        return all(test(container) for test in self._tests)

    def _id(self, values: list[str]) -> Callable[[Container], bool]:
        return lambda c: any(c.id.startswith(value) or _search(value, c.id) for value in values)

    def _name(self, values: list[str]) -> Callable[[Container], bool]:
        return lambda c: any(_search(value, c.name) or _search(value, f"/{c.name}") for value in values)

    def _label(self, values: list[str]) -> Callable[[Container], bool]:
        return lambda c: all(has_label(c.record.config.labels or {}, value) for value in values)

    def _status(self, values: list[str]) -> Callable[[Container], bool]:
        for value in values:
            if value not in list(Status):
                raise InvalidParameter(f"invalid filter 'status={value}'")
        return lambda c: str(c.state.status) in values

    def _exited(self, values: list[str]) -> Callable[[Container], bool]:
        try:
            codes = {int(value) for value in values}
        except ValueError as exc:
            raise InvalidParameter(f"invalid filter 'exited={values[0]}'") from exc
        return lambda c: not c.running and c.state.finished_at_ns > 0 and c.state.exit_code in codes

    def _health(self, values: list[str]) -> Callable[[Container], bool]:
        for value in values:
            if value not in _HEALTH:
                raise InvalidParameter(f"unrecognised filter value for health: {value}")
        return lambda c: (c.health or {}).get("Status", "none") in values

    def _ancestor(self, values: list[str]) -> Callable[[Container], bool]:
        ids = set()
        for value in values:
            try:
                ids.add(str(self._services.images.resolve(value).id))
            except ImageNotFound:
                continue  # moby: an unknown ancestor has no descendants
        return lambda c: c.record.image_id in ids or c.record.config.image in values

    def _before(self, values: list[str]) -> Callable[[Container], bool]:
        limit = min(self._services.containers.get(value).record.created_ns for value in values)
        return lambda c: c.record.created_ns < limit

    def _since(self, values: list[str]) -> Callable[[Container], bool]:
        limit = max(self._services.containers.get(value).record.created_ns for value in values)
        return lambda c: c.record.created_ns > limit

    def _volume(self, values: list[str]) -> Callable[[Container], bool]:
        return lambda c: any(
            value in (point.name, point.destination, point.source) for point in c.record.mounts for value in values
        )

    def _network(self, values: list[str]) -> Callable[[Container], bool]:
        names = set(values)
        for record in self._services.networks.networks():
            if any(value and record.id.startswith(value) for value in values):
                names.add(record.name)
        return lambda c: bool(names & {*c.record.networks, c.record.host_config.network_mode})

    def _publish(self, values: list[str]) -> Callable[[Container], bool]:
        # As in moby: the ports on the host, which only a running container has.
        wanted = _port_set(values)
        return lambda c: bool(wanted & _published(c))

    def _expose(self, values: list[str]) -> Callable[[Container], bool]:
        wanted = _port_set(values)
        return lambda c: c.running and bool(wanted & set(c.record.network_settings.get("Ports") or {}))

    def _is_task(self, values: list[str]) -> Callable[[Container], bool]:
        if values[0].lower() not in ("true", "1", "false", "0"):
            raise InvalidParameter(f"invalid filter 'is-task=[{values[0]}]'")
        tasks = values[0].lower() in ("true", "1")
        return lambda _: not tasks

    def _isolation(self, values: list[str]) -> Callable[[Container], bool]:
        return lambda _: "default" in values


def _published(container: Container) -> set[str]:
    if not container.running:
        return set()
    ports = container.record.network_settings.get("Ports") or {}
    return {
        f"{binding['HostPort']}/{port.partition('/')[2]}"
        for port, bindings in ports.items()
        for binding in bindings or ()
    }


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """``key`` or ``key=value``."""
    key, separator, value = wanted.partition("=")
    return key in labels and (not separator or labels[key] == value)


def _search(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return pattern in text


def _port_set(texts: list[str]) -> set[str]:
    result = set()
    for text in texts:
        first, last, protocol = parse_port(text)
        result |= {f"{port}/{protocol}" for port in range(first, last + 1)}
    return result
