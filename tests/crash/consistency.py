"""What must agree when nothing is under way: the database, the disk, the kernel, and what the API says.

``inconsistencies`` looks at one engine's roots and at what the host holds in that engine's names (its cgroups, its
bridge, its firewall table, monitors whose socket is in its run root), so that other engines may run beside it.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.crash.api_request import request
from tests.engine_under_test import EngineUnderTest
from wherry.settings import Settings

SETTLE_SECONDS = 5.0
_ACTIVE = ("running", "paused")


def assert_consistent(engine: EngineUnderTest, *, resumable: bool = False, seconds: float = SETTLE_SECONDS) -> None:
    """Fail with every disagreement that is still there after ``seconds``: deletions run in the background.

    ``resumable``: blobs and layers that no image names are allowed, an interrupted pull may come back for them.
    """
    deadline = time.monotonic() + seconds
    while found := inconsistencies(engine, resumable=resumable):
        assert time.monotonic() < deadline, "not consistent:\n" + "\n".join(found) + "\n" + engine.log()[-3000:]
        time.sleep(0.05)


def inconsistencies(engine: EngineUnderTest, *, resumable: bool = False) -> list[str]:
    """One line a disagreement; empty when all is well."""
    containers = _containers(engine)
    live = {c["Id"]: c for c in containers.values() if c["State"]["Status"] in _ACTIVE}
    database = sqlite3.connect(f"file:{engine.data_root}/wherry.db?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    try:
        return [
            *_rows(database, containers),
            *_directories(engine, containers),
            *_volumes(engine, database),
            *_images(engine, database, resumable=resumable),
            *_processes(engine, containers, live),
            *_cgroups(engine, live),
            *_network(engine, live),
            *_mounts(engine),
        ]
    finally:
        database.close()


def _containers(engine: EngineUnderTest) -> dict[str, dict[str, Any]]:
    found = {}
    for listed in request(engine.socket, "GET", "/containers/json?all=1")[1]:
        status, document = request(engine.socket, "GET", f"/containers/{listed['Id']}/json")
        if status == 200:
            found[listed["Id"]] = document
    return found


def _rows(database: sqlite3.Connection, containers: dict[str, dict[str, Any]]) -> Iterator[str]:
    for (word,) in database.execute("PRAGMA integrity_check"):
        if word != "ok":
            yield f"database: {word}"
    rows = {row["id"]: row for row in database.execute("SELECT * FROM containers")}
    yield from _compare("containers of the database", set(rows), "of the API", set(containers))
    for container_id in set(rows) & set(containers):
        document, said = json.loads(rows[container_id]["document"]), containers[container_id]
        if not rows[container_id]["name"] == document["name"] == said["Name"].removeprefix("/"):
            yield f"name of {container_id[:12]}: {rows[container_id]['name']}, {document['name']}, {said['Name']}"
        state = document.get("state") or {}
        stored, told = state.get("status", "created"), said["State"]["Status"]
        # What an auto-removed container does, and whether one is paused, only its monitor knows.
        if stored != told and not said["HostConfig"]["AutoRemove"] and told not in ("paused", "restarting"):
            yield f"status of {container_id[:12]}: the database has {stored}, the API says {told}"
    names = [document["Name"] for document in containers.values()]
    if len(set(names)) != len(names):
        yield f"names are not unique: {sorted(names)}"


def _directories(engine: EngineUnderTest, containers: dict[str, dict[str, Any]]) -> Iterator[str]:
    data, run = engine.data_root, engine.run_root
    monitored = {i for i, c in containers.items() if c["State"]["Status"] in (*_ACTIVE, "restarting")}
    yield from _compare("data directories", _listed(data / "containers") - {".trash"}, "containers", set(containers))
    yield from _compare("run directories", _listed(run / "containers"), "live containers", monitored)
    yield from _compare("active snapshots", _listed(data / "snapshots/active"), "containers", set(containers))
    for waste in ("containers/.trash", "volumes/.trash", "snapshots/trash", "snapshots/ingest"):
        for name in _listed(data / waste):
            yield f"left in {waste}: {name}"


def _volumes(engine: EngineUnderTest, database: sqlite3.Connection) -> Iterator[str]:
    rows = {row["name"] for row in database.execute("SELECT name FROM volumes")}
    yield from _compare("volume directories", _listed(engine.data_root / "volumes") - {".trash"}, "volumes", rows)


def _images(engine: EngineUnderTest, database: sqlite3.Connection, *, resumable: bool) -> Iterator[str]:
    blobs = engine.data_root / "content/blobs/sha256"
    present = {f"sha256:{name}" for name in _listed(blobs)}
    needed = {
        row[0]
        for row in database.execute(
            "SELECT id FROM images UNION SELECT manifest_digest FROM images UNION SELECT blob_digest FROM image_layers"
        )
    }
    named = needed | {row[0] for row in database.execute("SELECT digest FROM image_digests")}
    yield from (f"blob {digest} is missing" for digest in sorted(needed - present))
    for digest in sorted(needed & present):
        if hashlib.sha256((blobs / digest[7:]).read_bytes()).hexdigest() != digest[7:]:
            yield f"blob {digest} has another content"
    layers = {f"sha256:{name}": _layer(engine, name) for name in _listed(engine.data_root / "snapshots/layers")}
    chains = {row[0] for row in database.execute("SELECT chain_id FROM image_layers")}
    yield from (f"layer {chain} is missing" for chain in sorted(chains - set(layers)))
    for chain, record in layers.items():
        if record is None:
            yield f"layer {chain} has no record"
        elif record["parent"] is not None and record["parent"] not in layers:
            yield f"layer {chain} lacks its parent {record['parent']}"
    links = {Path(p).parts[2] for p in map(os.readlink, (engine.data_root / "snapshots/l").iterdir())}
    yield from _compare("short names", links, "layers", {chain[7:] for chain in layers})
    if not resumable:
        yield from (f"blob {digest} belongs to no image" for digest in sorted(present - named))
        yield from (f"layer {chain} belongs to no image" for chain in sorted(set(layers) - chains))
        yield from (f"left in content/ingest: {name}" for name in _listed(engine.data_root / "content/ingest"))


def _layer(engine: EngineUnderTest, name: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((engine.data_root / "snapshots/layers" / name / "meta.json").read_text())
    except FileNotFoundError:
        return None
    return record


def _processes(
    engine: EngineUnderTest, containers: dict[str, dict[str, Any]], live: dict[str, dict[str, Any]]
) -> Iterator[str]:
    for container_id, document in containers.items():
        pid = document["State"]["Pid"]
        if container_id in live:
            if not os.path.exists(f"/proc/{pid}"):
                yield f"container {container_id[:12]} is {document['State']['Status']}, its process {pid} is not there"
        elif pid:
            yield f"container {container_id[:12]} is {document['State']['Status']} and has the pid {pid}"
    expected = {i for i, c in containers.items() if c["State"]["Status"] in (*_ACTIVE, "restarting")}
    found = list(monitors(engine).values())
    yield from _compare("monitors", set(found), "live containers", expected)
    if len(set(found)) != len(found):
        yield f"a container has two monitors: {sorted(found)}"


def monitors(engine: EngineUnderTest) -> dict[int, str]:
    """Pid → container id of every monitor of the engine: they write to its log, and to their container's."""
    prefix = f"{engine.data_root}/containers/"
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8") != "wherry-monitor\n":
                continue
            if os.readlink(f"/proc/{pid}/fd/2") != f"{engine.run_root}/engine.log":
                continue
            files = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue  # it ended while we looked
        logs = [path.removeprefix(prefix).partition("/")[0] for path in files if path.startswith(prefix)]
        found[int(pid)] = logs[0] if logs else "no container"
    return found


def _cgroups(engine: EngineUnderTest, live: dict[str, dict[str, Any]]) -> Iterator[str]:
    root = settings_of(engine).cgroup_root
    for hierarchy in os.scandir("/sys/fs/cgroup"):
        path = Path(hierarchy.path + root)
        if hierarchy.is_symlink() or not path.is_dir():
            continue
        for name in (entry.name for entry in path.iterdir() if entry.is_dir()):
            if name not in live:
                yield f"cgroup {path}/{name} belongs to no running container"


def _network(engine: EngineUnderTest, live: dict[str, dict[str, Any]]) -> Iterator[str]:
    attached = {i: c["NetworkSettings"]["Networks"]["bridge"] for i, c in live.items()
                if c["HostConfig"]["NetworkMode"] in ("default", "bridge")}  # fmt: skip
    addresses = [endpoint["IPAddress"] for endpoint in attached.values()]
    if "" in addresses or len(set(addresses)) != len(addresses):
        yield f"addresses of the running containers: {sorted(addresses)}"
    links = veths(engine)
    if len(links) != len(attached):
        yield f"{len(links)} links at the bridge ({', '.join(links)}) for {len(attached)} containers"
    wanted = {
        (key.partition("/")[2], int(binding["HostPort"]))
        for document in live.values()
        for key, bindings in (document["NetworkSettings"]["Ports"] or {}).items()
        for binding in bindings or ()
        if binding["HostIp"] == "0.0.0.0"
    }
    published = firewall_ports(engine)
    if published != wanted:
        yield f"published in the firewall: {sorted(published)}, by the running containers: {sorted(wanted)}"


def veths(engine: EngineUnderTest) -> list[str]:
    """Names of the links at the engine's bridge."""
    return _listed_or_nothing(Path(f"/sys/class/net/{settings_of(engine).bridge_name}/brif"))


def firewall_ports(engine: EngineUnderTest) -> set[tuple[str, int]]:
    """(protocol, port) of every element of the table's map for all addresses."""
    table = settings_of(engine).firewall_table
    done = subprocess.run(
        ["nft", "-j", "list", "map", "inet", table, "published_any"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    if done.returncode:
        return set()  # no table, nothing published
    (described,) = (item["map"] for item in json.loads(done.stdout)["nftables"] if "map" in item)
    return {(element[0]["concat"][0], int(element[0]["concat"][1])) for element in described.get("elem", [])}


def _mounts(engine: EngineUnderTest) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        if str(engine.root) in line and line.split()[4] != str(engine.data_root):  # a test's own small disk
            yield f"mount: {line}"


def leftovers(engine: EngineUnderTest) -> list[str]:
    """What is on the host in this engine's names after it was stopped with no container left."""
    settings = settings_of(engine)
    found = [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"*{settings.cgroup_root}") if path.is_dir()]
    if os.path.exists(f"/sys/class/net/{settings.bridge_name}"):
        found.append(f"bridge {settings.bridge_name}")
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True, timeout=20).stdout
    if settings.firewall_table in tables.split():
        found.append(f"firewall table {settings.firewall_table}")
    found += [f"monitor {pid} of {container_id}" for pid, container_id in monitors(engine).items()]
    found += _mounts(engine)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue  # it ended while we looked
        if f"WHERRY_RUN_ROOT={engine.run_root}\0".encode() in environment:
            found.append(f"process {pid}")
    return found


def settings_of(engine: EngineUnderTest) -> Settings:
    """Names that follow from the roots: bridge, table, cgroup."""
    return Settings(data_root=str(engine.data_root), run_root=str(engine.run_root))


def _compare(what: str, first: set[str], other: str, second: set[str]) -> Iterator[str]:
    yield from (f"{what}: {name} is not among {other}" for name in sorted(first - second))
    yield from (f"{what}: {name} is missing, though among {other}" for name in sorted(second - first))


def _listed(path: Path) -> set[str]:
    return set(_listed_or_nothing(path))


def _listed_or_nothing(path: Path) -> list[str]:
    return os.listdir(path) if path.is_dir() else []
