"""``--link``: the legacy way by which a container on the default bridge knows another by name.

A link is a line in /etc/hosts, variables in the environment (``link_environment.py``) and a further name of the
target, ``<container>/<alias>``. All three are made anew at every start; what is stored is the container's own wish,
HostConfig.Links, with the target's present name. While the target does not run, a start is refused, as in moby.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from wherry.containers.config import HostConfig
from wherry.containers.container import Container, Record
from wherry.containers.link_environment import environment
from wherry.containers.link_spec import split_link
from wherry.containers.services import Services
from wherry.containers.store import Registry
from wherry.errors import Conflict, InvalidParameter, NotFound


@dataclass(frozen=True, slots=True)
class Link:
    """One link; ``path`` is its name in the environment and in the lists, ``/<container>/<alias>``.

    ``target`` is None when it was removed.
    """

    target: Container | None
    name: str
    alias: str
    path: str


def check_links(services: Services, host: HostConfig) -> None:
    """The linked containers must exist. InvalidParameter in Docker's words."""
    for link in host.links or ():
        name, _ = split_link(link)
        try:
            services.containers.get(name)
        except NotFound as exc:
            raise InvalidParameter(f"could not get container for {name}: {exc.message}") from exc


def links_of(containers: Registry, record: Record) -> list[Link]:
    """The links of one container, by alias."""
    wanted = sorted(map(split_link, record.host_config.links or ()), key=lambda link: link[1])
    return [_link(containers, name, alias, record) for name, alias in wanted]


def _link(containers: Registry, name: str, alias: str, record: Record) -> Link:
    try:
        target = containers.get(name)
    except NotFound:
        return Link(None, name, alias, f"/{record.name}/{alias}")
    return Link(target, target.name, alias, f"/{record.name}/{alias}")


def link_names(containers: Registry, linking: Iterable[Container]) -> dict[str, list[str]]:
    """Container id → the names that links of ``linking`` give it."""
    names: dict[str, list[str]] = {}
    for container in linking:
        for link in links_of(containers, container.record):
            if link.target is not None:
                names.setdefault(link.target.id, []).append(link.path)
    return names


def linked_hosts(services: Services, record: Record) -> list[tuple[str, str]]:
    """(address, names) for /etc/hosts; all must run by now, InvalidParameter says which does not."""
    entries = []
    for alias, _, target in _live_links(services, record):
        names = dict.fromkeys((alias, target.record.config.hostname, target.name))
        entries.append((_address(target), " ".join(names)))
    return entries


def linked_environment(services: Services, record: Record) -> list[str]:
    """``NAME=value`` for every link; the container's own variables go over them."""
    return [
        entry
        for _, path, target in _live_links(services, record)
        for entry in environment(
            path, _address(target), target.record.config.exposed_ports or (), target.record.config.env or ()
        )
    ]


def remove_link(services: Services, reference: str) -> None:
    """``docker rm --link parent/alias``: the container forgets the link; durable on return."""
    services.containers.get(reference)
    parent_name, _, alias = reference.strip("/").rpartition("/")
    if not parent_name:
        raise Conflict("Conflict, cannot remove the default link name of the container")
    parent = services.containers.get(parent_name)
    with parent.verb:
        host = parent.record.host_config
        host.links = [link for link in host.links or () if split_link(link)[1] != alias]
        services.containers.save(parent)


def rename_target(services: Services, old_name: str, new_name: str) -> None:
    """A container has another name: the links to it go on."""
    for container in services.containers.all():
        links = container.record.host_config.links or []
        if any(split_link(link)[0] == old_name for link in links):
            with container.lock:
                container.record.host_config.links = [
                    f"{new_name}:{alias}" if name == old_name else f"{name}:{alias}"
                    for name, alias in map(split_link, links)
                ]
                services.containers.save(container)


def _live_links(services: Services, record: Record) -> list[tuple[str, str, Container]]:
    """(alias, path, target) of each link."""
    result = []
    for link in links_of(services.containers, record):
        if link.target is None or not link.target.running:
            raise InvalidParameter(f"Cannot link to a non running container: /{link.name} AS {link.path}")
        if _address(link.target):
            result.append((link.alias, link.path, link.target))
    return result


def _address(target: Container) -> str:
    networks = target.record.network_settings.get("Networks") or {}
    address: str = (networks.get("bridge") or {}).get("IPAddress", "")
    return address
