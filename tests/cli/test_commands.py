"""Commands against an engine that answers from a table: what is asked, what is printed, how it ends."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Run, lines
from tests.client.fake_engine import FakeEngine, Handler, Request
from wherry.cli.stats import stats_row

Serve = Callable[[Handler], FakeEngine]
CONTAINER = {
    "Id": "0123456789abcdef" * 4, "Names": ["/one", "/other/alias"], "Image": "busybox", "Command": "sleep 1000",
    "Created": 0, "State": "running", "Status": "Up 2 hours", "Labels": {"k": "v"}, "Mounts": [],
    "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"}],
}  # fmt: skip


def _table(answers: dict[str, tuple[int, Any]]) -> Handler:
    def handler(request: Request) -> None:
        status, document = answers.get(
            f"{request.method} {request.path}", (404, {"message": f"No such thing: {request.path}"})
        )
        request.answer(status, document)

    return handler


def test_ps_prints_dockers_columns(serve: Serve, wherry: Run) -> None:
    engine = serve(_table({"GET /containers/json": (200, [CONTAINER])}))
    outcome = wherry("-H", engine.host, "ps", "-a", "-f", "status=running", "-f", "label=x=y")
    heading, row = outcome.stdout.splitlines()
    assert heading.split("  ")[0] == "CONTAINER ID" and heading.endswith("PORTS                  NAMES")
    assert row.startswith('0123456789ab   busybox   "sleep 1000"   ') and row.endswith(
        "Up 2 hours   0.0.0.0:8080->80/tcp   one"
    )
    assert "all=1" in engine.requests[0].query and "%22status%22" in engine.requests[0].query
    assert wherry("-H", engine.host, "ps", "-q").stdout == "0123456789ab\n"
    assert wherry("-H", engine.host, "container", "ls", "--format", '{{.Names}} {{.Label "k"}}').stdout == "one v\n"


def test_an_empty_list_is_its_heading(serve: Serve, wherry: Run) -> None:
    engine = serve(_table({"GET /containers/json": (200, [])}))
    assert (
        wherry("-H", engine.host, "ps").stdout
        == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    )


def test_many_targets_are_all_tried_and_then_reported(serve: Serve, wherry: Run) -> None:
    engine = serve(_table({"POST /containers/a/stop": (204, None), "POST /containers/c/stop": (304, None)}))
    outcome = wherry("-H", engine.host, "stop", "-t", "3", "a", "b", "c")
    assert (outcome.code, outcome.stdout) == (1, "a\nc\n")
    assert outcome.stderr == "Error response from daemon: No such thing: /containers/b/stop\n"
    assert engine.requests[0].query == "t=3"


def test_rm_force_of_nothing_is_a_success(serve: Serve, wherry: Run) -> None:
    engine = serve(_table({}))
    outcome = wherry("-H", engine.host, "rm", "-f", "x")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (
        0,
        "",
        "Error response from daemon: No such thing: /containers/x\n",
    )
    assert wherry("-H", engine.host, "rm", "x").code == 1


def test_inspect_prints_what_it_found_before_it_complains(serve: Serve, wherry: Run) -> None:
    engine = serve(
        _table({"GET /containers/a/json": (200, {"Id": "1", "Text": "é<"}), "GET /volumes/v": (200, {"Name": "v"})})
    )
    outcome = wherry("-H", engine.host, "inspect", "a", "v", "x")
    assert outcome.stdout == lines(
        "[",
        "    {",
        '        "Id": "1",',
        '        "Text": "é<"',
        "    },",
        "    {",
        '        "Name": "v"',
        "    }",
        "]",
    )
    assert (outcome.code, outcome.stderr) == (1, "Error: No such object: x\n")
    assert wherry("-H", engine.host, "inspect", "-f", "{{.Id}}", "a").stdout == "1\n"
    assert wherry("-H", engine.host, "inspect", "-f", "{{", "a").code == 64


def test_prune_asks_first_and_takes_no_for_an_answer(serve: Serve, wherry: Run) -> None:
    engine = serve(_table({"POST /containers/prune": (200, {"ContainersDeleted": ["a"], "SpaceReclaimed": 2000})}))
    outcome = wherry("-H", engine.host, "container", "prune")
    assert outcome.stdout == (
        "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] "
    )
    assert engine.requests == []
    outcome = wherry("-H", engine.host, "container", "prune", "-f")
    assert outcome.stdout == "Deleted Containers:\na\n\nTotal reclaimed space: 2kB\n"


def test_a_pull_shows_status_lines_and_ends_in_its_error(serve: Serve, wherry: Run) -> None:
    def handler(request: Request) -> None:
        request.answer(
            200,
            text=b'{"status":"Pulling from library/x","id":"latest"}\n{"status":"Downloading","id":"a","progressDetail":{"current":1}}\n'
            b'{"errorDetail":{"message":"no space left"},"error":"no space left"}\n',
        )

    outcome = wherry("-H", serve(handler).host, "pull", "x")
    assert (outcome.code, outcome.stderr) == (1, "no space left\n")
    assert outcome.stdout == "Using default tag: latest\nlatest: Pulling from library/x\n"


def test_rmi_prints_what_went(serve: Serve, wherry: Run) -> None:
    engine = serve(_table({"DELETE /images/x:1": (200, [{"Untagged": "x:1"}, {"Deleted": "sha256:1"}])}))
    assert wherry("-H", engine.host, "rmi", "x:1").stdout == "Untagged: x:1\nDeleted: sha256:1\n"
    assert wherry("-H", engine.host, "rmi", "y").code == 1
    assert wherry("-H", engine.host, "rmi", "-f", "y").code == 0


def test_no_engine_is_one_line(wherry: Run) -> None:
    outcome = wherry("-H", "unix:///nonexistent/x.sock", "ps")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert (
        outcome.stderr
        == "Cannot connect to the Docker daemon at unix:///nonexistent/x.sock. Is the docker daemon running?\n"
    )


SAMPLE = {
    "id": "0123456789abcdef", "name": "/one", "pids_stats": {"current": 3},
    "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
    "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
    "memory_stats": {"usage": 3 << 20, "limit": 1 << 30, "stats": {"total_inactive_file": 1 << 20}},
    "networks": {"eth0": {"rx_bytes": 1500, "tx_bytes": 20}, "eth1": {"rx_bytes": 500, "tx_bytes": 0}},
    "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 5}, {"op": "Write", "value": 7000}]},
}  # fmt: skip


def test_stats_are_counted_as_docker_counts_them() -> None:
    assert stats_row("one", SAMPLE, truncate=True) == {
        "Container": "one", "ID": "0123456789ab", "Name": "one", "CPUPerc": "40.00%", "MemUsage": "2MiB / 1GiB",
        "MemPerc": "0.20%", "NetIO": "2kB / 20B", "BlockIO": "5B / 7kB", "PIDs": "3",
    }  # fmt: skip
    assert stats_row("one", None, truncate=True)["MemUsage"] == "-- / --"


@pytest.mark.parametrize("stream", [True, False])
def test_logs_split_the_streams_unless_there_is_a_terminal(serve: Serve, wherry: Run, *, stream: bool) -> None:
    def handler(request: Request) -> None:
        if request.path.endswith("/json"):
            request.answer(200, {"Id": "1", "Config": {"Tty": not stream}})
        else:
            request.answer(200, text=b"\x01\0\0\0\0\0\0\x02o\n\x02\0\0\0\0\0\0\x02e\n" if stream else b"raw\r\n")

    outcome = wherry("-H", serve(handler).host, "logs", "--tail", "5", "x")
    assert (outcome.stdout, outcome.stderr) == (("o\n", "e\n") if stream else ("raw\r\n", ""))
