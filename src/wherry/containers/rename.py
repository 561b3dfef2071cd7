"""Give a container another name."""

from wherry.containers.connect import remember_networks
from wherry.containers.container_events import publish
from wherry.containers.endpoints import own_network
from wherry.containers.links import rename_target
from wherry.containers.names import check_name
from wherry.containers.services import Services
from wherry.containers.store import NoSuchContainer
from wherry.errors import Conflict, InvalidParameter


def rename(services: Services, reference: str, new_name: str) -> None:
    """Durable on return. InvalidParameter for a bad name or the present one, Conflict for one in use."""
    container = services.containers.get(reference)
    if not new_name:
        raise InvalidParameter("Neither old nor new names may be empty")
    name = check_name(new_name)
    with container.verb:
        if container.removed:
            raise NoSuchContainer(reference)  # while we waited for our turn
        old_name = container.name
        if name == old_name:
            raise InvalidParameter("Renaming a container with the same name as its current name")
        try:
            services.containers.reserve_name(name, container.id)
        except Conflict as exc:
            raise Conflict(f"Error when allocating new name: {exc.message}") from exc
        try:
            services.containers.rename(container, name)
        except BaseException:
            services.containers.release_name(name)
            raise
        change = services.networks.rename(container.id, old_name, name)
        if change is not None and container.running and own_network(container.record):
            remember_networks(services, container, change)
    rename_target(services, old_name, name)
    publish(services.events, container, "rename", {"oldName": f"/{old_name}"})
