"""``stats``: one sample with ``--no-stream``, else a table that is redrawn every half second."""

import sys
import threading
import time

from wherry.cli.app import App
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed, describe
from wherry.cli.options import Option
from wherry.cli.output import FORMAT_HELP, format_rows
from wherry.cli.units import binary_size, human_size
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
HEADERS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_REDRAW_SECONDS = 0.5


def stats_row(container: str, sample: "dict[str, Any] | None", *, truncate: bool) -> "dict[str, Any]":
    """A sample as the fields of Docker's statsContext; None is a container without one yet."""
    if sample is None:
        empty = dict.fromkeys(("CPUPerc", "MemPerc", "PIDs", "Name", "ID"), "--")
        pairs = dict.fromkeys(("MemUsage", "NetIO", "BlockIO"), "-- / --")
        return {"Container": container, **empty, **pairs}
    memory = sample.get("memory_stats") or {}
    used = memory_used(memory)
    limit = memory.get("limit") or 0
    received = sum(network["rx_bytes"] for network in (sample.get("networks") or {}).values())
    sent = sum(network["tx_bytes"] for network in (sample.get("networks") or {}).values())
    read, written = block_io(sample.get("blkio_stats") or {})
    identifier = sample.get("id") or ""
    return {
        "Container": container,
        "ID": identifier[:12] if truncate else identifier,
        "Name": str(sample.get("name") or "").removeprefix("/"),
        "CPUPerc": f"{cpu_percent(sample):.2f}%",
        "MemUsage": f"{binary_size(used)} / {binary_size(limit)}",
        "MemPerc": f"{used / limit * 100 if limit else 0:.2f}%",
        "NetIO": f"{human_size(received)} / {human_size(sent)}",
        "BlockIO": f"{human_size(read)} / {human_size(written)}",
        "PIDs": str((sample.get("pids_stats") or {}).get("current") or 0),
    }


def memory_used(memory: "dict[str, Any]") -> int:
    """Usage without the page cache that the kernel can drop (v1: total_inactive_file, v2: inactive_file)."""
    usage = int(memory.get("usage") or 0)
    detail = memory.get("stats") or {}
    inactive = int(detail.get("total_inactive_file", detail.get("inactive_file", 0)))
    return usage - inactive if inactive < usage else usage


def cpu_percent(sample: "dict[str, Any]") -> float:
    """Of one CPU, between the sample and the one before it."""
    now, before = sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}
    used = float(now.get("cpu_usage", {}).get("total_usage", 0)) - float(
        before.get("cpu_usage", {}).get("total_usage", 0)
    )
    system = float(now.get("system_cpu_usage") or 0) - float(before.get("system_cpu_usage") or 0)
    count = now.get("online_cpus") or len(now.get("cpu_usage", {}).get("percpu_usage") or []) or 1
    return used / system * float(count) * 100 if used > 0 and system > 0 else 0.0


def block_io(stats: "dict[str, Any]") -> tuple[int, int]:
    """Bytes read and written."""
    read = written = 0
    for entry in stats.get("io_service_bytes_recursive") or []:
        kind = str(entry.get("op", ""))[:1].lower()
        read += entry["value"] if kind == "r" else 0
        written += entry["value"] if kind == "w" else 0
    return read, written


class _Collector(threading.Thread):
    """Follows one container's stream; ``sample`` is the newest, ``failure`` why it ended."""

    def __init__(self, app: App, ref: str, *, stream: bool) -> None:
        super().__init__(daemon=True)
        self.ref = ref
        self.sample: dict[str, Any] | None = None
        self.failure: WherryError | None = None
        self._app = App(host=app.host, tls=app.tls)
        self._stream = stream

    def run(self) -> None:
        try:
            for sample in self._app.containers.stats(self.ref, stream=self._stream):
                self.sample = sample
        except WherryError as exc:
            self.failure = exc


def _run(call: Invocation) -> int:
    flags, app = call.flags, call.app
    stream = not flags.flag("no-stream")
    refs = call.args or [row["Id"][:12] for row in app.containers.list(all=flags.flag("all"))]
    collectors = [_Collector(app, ref, stream=stream) for ref in refs]
    for collector in collectors:
        collector.start()
    if not stream:
        for collector in collectors:
            collector.join()
        _raise_failures(collectors, asked=bool(call.args))
        app.out(_table(call, collectors)[:-1])
        return 0
    while True:
        time.sleep(_REDRAW_SECONDS)
        _raise_failures(collectors, asked=bool(call.args))
        app.out("\x1b[2J\x1b[H" + _table(call, collectors)[:-1])
        sys.stdout.flush()
        if collectors and not any(collector.is_alive() for collector in collectors):
            return 0


def _raise_failures(collectors: list[_Collector], *, asked: bool) -> None:
    """A container that was named must exist; one from the list may have gone meanwhile."""
    failures = [describe(collector.failure) for collector in collectors if collector.failure is not None]
    if failures and asked:
        raise CommandFailed("\n".join(failures))


def _table(call: Invocation, collectors: list[_Collector]) -> str:
    truncate = not call.flags.flag("no-trunc")
    rows = [
        stats_row(collector.ref, collector.sample, truncate=truncate)
        for collector in collectors
        if collector.failure is None
    ]
    return format_rows(rows, COLUMNS, HEADERS, call.flags.text("format"), "*container.statsContext")


STATS = Command(
    "[OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    _run,
    options=(
        Option("all", "a", "bool", "Show all containers (default shows just running)"),
        Option("format", "", "string", FORMAT_HELP),
        Option("no-stream", "", "bool", "Disable streaming stats and only pull the first result"),
        Option("no-trunc", "", "bool", "Do not truncate output"),
    ),
    aliases=("container stats", "stats"),
)
