"""``python -m bench``: starts the peers, measures, prints the table, stops everything it started."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import containers, programs, report
from bench.measure import Row
from bench.peers import Docker, Engine, Podman, Wherry, busybox_tar, install

_LOAD_LIMIT = 1.5


def main() -> int:
    """Exit 0 when every verdict was met, 1 otherwise, 2 when the machine was too busy for one."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="rows to measure, such as P1,P5")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--json", type=Path, default=Path("bench/out/latest.json"))
    parser.add_argument("--load-limit", type=float, default=_LOAD_LIMIT, help="no verdict above this load")
    options = parser.parse_args()
    only = {name.strip().upper() for name in options.only.split(",") if name.strip()}
    trusted = os.getloadavg()[0] <= options.load_limit
    directory = Path(tempfile.mkdtemp(prefix="whb-", dir="/tmp"))
    started: list[Engine] = []
    try:
        tar = busybox_tar(directory)
        ours = Wherry(install(directory))
        started.append(ours)
        docker = Docker()
        started.append(docker)
        podman = Podman()
        started.append(podman)
        for engine in started:
            engine.load_busybox(tar)
        about = report.machine([engine.version() for engine in started])
        rows = _measure(only, options.repetitions, ours, docker, podman, directory, tar)
    finally:
        for engine in started:
            engine.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(report.as_text(rows, about, trusted=trusted))
    report.write_json(options.json, rows, about)
    if not trusted:
        return 2
    return 0 if all(verdict.met for row in rows for verdict in row.verdicts) else 1


def _measure(
    only: set[str], repetitions: int, ours: Wherry, docker: Docker, podman: Podman, directory: Path, tar: Path
) -> list[Row]:
    peers: list[Engine] = [docker, podman]
    few = max(5, repetitions // 2)
    plan: dict[str, Callable[[], Row]] = {
        "P1": lambda: containers.run_and_remove(ours, peers, repetitions),
        "P2": lambda: containers.docker_client(ours, docker, repetitions),
        "P3": lambda: containers.python_sdk(ours, shutil.which("bwrap") or "bwrap", repetitions),
        "P4": lambda: containers.cold_start(ours, docker, few),
        "P5": lambda: containers.exec_true(ours, peers, repetitions),
        "P7": lambda: containers.live_containers(ours, repetitions),
        "P16": lambda: containers.memory(ours, docker),
        "P18": lambda: programs.command_line(ours, repetitions),
        "P20": lambda: programs.oci_runtime(ours, directory, tar, repetitions),
    }
    unknown = only - plan.keys()
    if unknown:
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(plan)}")
    rows = []
    for name, measure in plan.items():
        if not only or name in only:
            print(f"measuring {name} …", file=sys.stderr)
            rows.append(measure())
    return rows


if __name__ == "__main__":
    sys.exit(main())
