"""The ``dns`` part of the monitor's plan: what the name server at 127.0.0.11 of a container answers from, and asks.

{"records": [paths of network/dns_records.py], "links": {alias: container id}, "upstreams": [addresses],
 "external": whether it may ask anybody outside, "options": [of resolv.conf]}
"""

from collections.abc import Mapping
from typing import Any

from wherry.containers.container import Record
from wherry.containers.link_spec import split_link
from wherry.containers.services import Services
from wherry.errors import NotFound
from wherry.network.dns_records import records_path
from wherry.network.resolv_conf import host_resolv_conf, resolvers


def dns_plan(services: Services, record: Record, endpoints: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """``endpoints``: EndpointSettings by network name. None for a container on no user-defined network."""
    networks = [services.networks.find(endpoint["NetworkID"]) for endpoint in endpoints.values()]
    named = [network for network in networks if not network.predefined]
    if not named:
        return None
    host, settings = record.host_config, services.settings
    found = resolvers(
        host_resolv_conf(),
        servers=host.dns or settings.dns,
        search=host.dns_search or settings.dns_search,
        options=host.dns_options or settings.dns_opts,
    )
    return {
        "records": [records_path(settings.run_root, network.id) for network in named],
        "links": _links(services, record, endpoints),
        "upstreams": list(found.servers),
        "external": not all(network.config.internal for network in networks),
        "options": list(found.options),
    }


def _links(services: Services, record: Record, endpoints: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    wanted = [*(record.host_config.links or ()), *(link for e in endpoints.values() for link in e.get("Links") or ())]
    found = {}
    for name, alias in map(split_link, wanted):
        try:
            found[alias] = services.containers.get(name).id
        except NotFound:
            continue  # removed meanwhile: the alias leads nowhere
    return found
