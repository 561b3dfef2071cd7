"""What the name server of a user-defined network answers from: one file a network, written by the engine, read by
monitors.

    <run_root>/dns/<network id>.json
    {"network": "<name>", "internal": false,
     "records": [{"container": "<id>", "names": ["web", "<12 digits of the id>"], "addresses": ["172.18.0.2"]}]}

Replaced as a whole whenever an endpoint comes or goes, so that a reader sees the old or the new; not durable, for no
endpoint outlives a reboot. Writers hold the network controller's lock.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from wherry.metadata.atomic_file import write_atomic
from wherry.network.store import NetworkRecord


@dataclass(frozen=True, slots=True)
class NameRecord:
    """One endpoint: the container's id, its names on the network, its addresses."""

    container: str
    names: Sequence[str]
    addresses: Sequence[str]


def records_path(run_root: str, network_id: str) -> str:
    """Where the names of a network are."""
    return f"{run_root}/dns/{network_id}.json"


def write_records(run_root: str, network: NetworkRecord, records: Iterable[NameRecord]) -> None:
    """Replace a network's names."""
    os.makedirs(f"{run_root}/dns", mode=0o700, exist_ok=True)
    document = {
        "network": network.name,
        "internal": network.config.internal,
        "records": [asdict(record) for record in records],
    }
    write_atomic(records_path(run_root, network.id), json.dumps(document).encode(), durable=False)


def remove_records(run_root: str, network_id: str) -> None:
    """The network is gone. Idempotent."""
    try:
        os.unlink(records_path(run_root, network_id))
    except FileNotFoundError:
        pass
