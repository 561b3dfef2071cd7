"""``--link``: the legacy way by which a container on the default bridge knows another by name.

A link is a line in /etc/hosts, written at every start. The variables that Docker sets besides are not: they tell
the one container the other's whole environment.
"""

from wherry.containers.config import HostConfig
from wherry.containers.services import Services
from wherry.errors import InvalidParameter, NotFound


def split_link(link: str) -> tuple[str, str]:
    """``name:alias`` or ``name`` → name and alias."""
    name, _, alias = link.partition(":")
    name = name.lstrip("/")
    return name, alias.rpartition("/")[2] or name


def check_links(services: Services, host: HostConfig) -> None:
    """The linked containers must exist. InvalidParameter in Docker's words."""
    for link in host.links or ():
        name, _ = split_link(link)
        try:
            services.containers.get(name)
        except NotFound as exc:
            raise InvalidParameter(f"could not get container for {name}: {exc.message}") from exc


def linked_hosts(services: Services, host: HostConfig, own_name: str) -> list[tuple[str, str]]:
    """(address, names) for /etc/hosts; all must run by now, InvalidParameter says which does not."""
    entries = []
    for link in host.links or ():
        name, alias = split_link(link)
        target = services.containers.get(name)
        if not target.running:
            raise InvalidParameter(f"Cannot link to a non running container: /{target.name} AS /{own_name}/{alias}")
        networks = target.record.network_settings.get("Networks") or {}
        address = (networks.get("bridge") or {}).get("IPAddress", "")
        if address:
            names = dict.fromkeys((alias, target.record.config.hostname, target.name))
            entries.append((address, " ".join(names)))
    return entries
