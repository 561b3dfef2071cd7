"""P1-P5, P7, P16: what a container's life costs, ours next to docker and podman."""

import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import Row, Verdict, command_seconds, interleave
from bench.peers import Docker, Engine, Podman, Wherry, pss_bytes

_LIVE_STEPS = (0, 100, 250)


def _image(engine: Engine) -> str:
    return "localhost/busybox" if isinstance(engine, Podman) else "busybox"


def _run(engine: Engine, *options: str) -> Callable[[], float]:
    argv = engine.command("run", "--rm", *options, _image(engine), "true")
    return lambda: command_seconds(argv, engine.environment)


def _exec(engine: Engine, container: str) -> Callable[[], float]:
    argv = engine.command("exec", container, "true")
    return lambda: command_seconds(argv, engine.environment)


def run_and_remove(ours: Wherry, peers: list[Engine], repetitions: int) -> Row:
    """P1: ``run --rm busybox true`` on a warm engine, on the bridge and without network."""
    row = Row("P1", "run --rm true")
    cases: dict[str, Callable[[], float]] = {}
    for engine in (ours, *peers):
        cases[f"{engine.name} bridge"] = _run(engine)
        cases[f"{engine.name} none"] = _run(engine, "--network", "none")
    row.series = interleave(cases, repetitions=repetitions)
    row.ratio("wherry bridge", "docker bridge", 0.15)
    row.ratio("wherry bridge", "podman bridge", 0.2)
    return row


def docker_client(ours: Wherry, docker: Docker, repetitions: int) -> Row:
    """P2: the same through the real docker CLI."""
    row = Row("P2", "docker CLI run --rm true")
    to_us = [docker.prefix[0], "-H", f"unix://{ours.socket}", "run", "--rm", "busybox", "true"]
    row.series = interleave(
        {"wherry": lambda: command_seconds(to_us, ours.environment), "dockerd": _run(docker)},
        repetitions=repetitions,
    )
    row.ratio("wherry", "dockerd", 0.25)
    return row


def python_sdk(ours: Wherry, bwrap: str, repetitions: int) -> Row:
    """P3: run from a live Python process, next to the barest sandbox there is."""
    from wherry.client.client import Client

    row = Row("P3", "SDK run in a live process")
    client = Client(f"unix://{ours.socket}")

    def sdk() -> float:
        begin = time.perf_counter()
        client.run("busybox", ["true"], remove=True)
        return time.perf_counter() - begin

    bare = [bwrap, "--unshare-all", "--bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    row.series = interleave(
        {"wherry": sdk, "bwrap": lambda: command_seconds(bare, ours.environment)}, repetitions=repetitions
    )
    row.ratio("wherry", "bwrap", 4)
    row.verdicts.append(Verdict("wherry", row.series["wherry"].median, 25, " ms"))
    return row


def cold_start(ours: Wherry, docker: Docker, repetitions: int) -> Row:
    """P4: the first command, engine not running, next to ``docker run`` on a warm dockerd."""
    row = Row("P4", "first command, cold engine")
    warm = _run(ours)

    def cold() -> float:
        ours.shut_down()
        return warm()

    row.series = interleave({"wherry cold": cold, "docker warm": _run(docker)}, repetitions=repetitions)
    row.ratio("wherry cold", "docker warm", 1.0)
    return row


def exec_true(ours: Wherry, peers: list[Engine], repetitions: int) -> Row:
    """P5: ``exec true`` in a running container."""
    row = Row("P5", "exec true")
    cases: dict[str, Callable[[], float]] = {}
    started: list[tuple[Engine, str]] = []
    for engine in (ours, *peers):
        container = engine.output("run", "-d", _image(engine), "sleep", "100000")
        started.append((engine, container))
        cases[engine.name] = _exec(engine, container)
    row.series = interleave(cases, repetitions=repetitions)
    for engine, container in started:
        engine.output("rm", "-f", container)
    row.ratio("wherry", "docker", 0.5)
    row.ratio("wherry", "podman", 0.5)
    return row


def live_containers(ours: Wherry, repetitions: int) -> Row:
    """P7: start with 0, 100 and 250 live containers."""
    row = Row("P7", "run --rm true beside live containers")
    live: list[str] = []
    for step in _LIVE_STEPS:
        while len(live) < step:
            live.append(ours.output("run", "-d", "busybox", "sleep", "100000"))
        row.series |= interleave({f"wherry, {step} live": _run(ours)}, repetitions=repetitions)
    for first in range(0, len(live), 50):
        ours.output("rm", "-f", *live[first : first + 50])
    for step in _LIVE_STEPS[1:]:
        row.ratio(f"wherry, {step} live", f"wherry, {_LIVE_STEPS[0]} live", 1.2)
    return row


def memory(ours: Wherry, docker: Docker, containers: int = 20) -> Row:
    """P16: the engine at rest, and each idle container's share, as proportional set size."""
    row = Row("P16", "memory")
    for engine in (ours, docker):
        engine.output("ps")
        idle = sum(pss_bytes(pid) for pid in engine.service_pids())
        others = set(_monitors(engine))
        ids = [engine.output("run", "-d", _image(engine), "sleep", "100000") for _ in range(containers)]
        time.sleep(1)
        own = [pid for pid in _monitors(engine) if pid not in others]
        per_container = sum(pss_bytes(pid) for pid in own) / len(own)
        engine.output("rm", "-f", *ids)
        row.notes.append(
            f"{engine.name}: engine {idle / 2**20:.1f} MB PSS, per container {per_container / 2**20:.2f} MB"
        )
        if engine is ours:
            row.verdicts.append(Verdict("engine and zygote, idle", idle / 2**20, 60, " MB"))
            row.verdicts.append(Verdict("per idle container", per_container / 2**20, 2, " MB"))
    return row


def _monitors(engine: Engine) -> list[int]:
    name = "wherry-monitor" if isinstance(engine, Wherry) else "containerd-shim"
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip().startswith(name[:15]):
                found.append(int(comm.parent.name))
        except OSError:
            continue  # it ended while we looked
    return found
