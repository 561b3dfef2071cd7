"""P18 and P20: the command line alone, and the OCI runtime alone."""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import Row, Verdict, command_seconds, interleave
from bench.peers import Wherry, podman_runtime


def command_line(ours: Wherry, repetitions: int) -> Row:
    """P18: ``wherry --version`` and ``wherry ps``, and the bare interpreter they start from."""
    row = Row("P18", "command line")
    python = str(ours.commands / "python")
    cases: dict[str, Callable[[], float]] = {
        "wherry --version": lambda: command_seconds(ours.command("--version"), ours.environment),
        "wherry ps": lambda: command_seconds(ours.command("ps"), ours.environment),
        "python -c pass": lambda: command_seconds([python, "-c", "pass"], ours.environment),
    }
    row.series = interleave(cases, repetitions=repetitions)
    row.verdicts.append(Verdict("wherry --version", row.series["wherry --version"].median, 40, " ms"))
    row.verdicts.append(Verdict("wherry ps", row.series["wherry ps"].median, 60, " ms"))
    return row


def make_bundle(directory: Path, busybox: Path) -> Path:
    """An OCI bundle of busybox that runs ``true``, from runc's own default config."""
    root = directory / "bundle" / "rootfs"
    root.mkdir(parents=True)
    command_seconds([shutil.which("tar") or "tar", "-xf", str(busybox), "-C", str(root)], dict(os.environ))
    command_seconds([shutil.which("runc") or "runc", "spec", "--bundle", str(root.parent)], dict(os.environ))
    config = json.loads((root.parent / "config.json").read_text())
    config["process"]["args"] = ["true"]
    config["process"]["terminal"] = False
    (root.parent / "config.json").write_text(json.dumps(config))
    return root.parent


def oci_runtime(ours: Wherry, directory: Path, busybox: Path, repetitions: int) -> Row:
    """P20: create, start and delete of one bundle by wherry-runtime, runc and crun; and from a warm process."""
    row = Row("P20", "OCI runtime create+start+delete")
    bundle = make_bundle(directory, busybox)
    cases: dict[str, Callable[[], float]] = {}
    for name, program in (
        ("wherry-runtime", str(ours.commands / "wherry-runtime")),
        ("runc", shutil.which("runc")),
        ("crun", shutil.which("crun") if podman_runtime().endswith("crun") else None),
    ):
        if program:
            cases[name] = _cold(program, directory / f"state-{name}", bundle)
    cases["wherry library, warm"] = _warm(bundle)
    row.series = interleave(cases, repetitions=repetitions)
    row.ratio("wherry-runtime", "runc", 1.5)
    if "crun" in row.series:
        row.ratio("wherry library, warm", "crun", 0.5)
    else:
        row.notes.append("crun refuses this machine's hybrid cgroups; the warm library is shown beside runc")
        row.ratio("wherry library, warm", "runc", 0.5)
    return row


def _cold(program: str, root: Path, bundle: Path) -> Callable[[], float]:
    environment = dict(os.environ)

    def once() -> float:
        name = f"bench-{secrets.token_hex(4)}"
        total = 0.0
        for arguments in (["create", "--bundle", str(bundle), name], ["start", name], ["delete", "--force", name]):
            total += command_seconds([program, "--root", str(root), *arguments], environment)
        return total

    return once


def _warm(bundle: Path) -> Callable[[], float]:
    from wherry.runtime import cgroups
    from wherry.runtime.create import create_container
    from wherry.runtime.start import start_container

    spec = json.loads((bundle / "config.json").read_text())

    def once() -> float:
        null = os.open(os.devnull, os.O_RDWR)
        begin = time.perf_counter()
        name = f"wherry-bench-{secrets.token_hex(4)}"
        group = cgroups.create(f"/{name}", container_id=name, resources=spec["linux"].get("resources"))
        created = create_container(
            spec, bundle=str(bundle), container_id=name, cgroups=group, stdio=(null, null, null)
        )
        start_container(created)
        os.waitpid(created.pid, 0)
        created.close()
        group.delete()
        elapsed = time.perf_counter() - begin
        os.close(null)
        return elapsed

    return once
