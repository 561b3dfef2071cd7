"""The real docker CLI drives our engine: output, messages and exit codes as with dockerd."""

import hashlib
import io
import json
import os
import pty
import re
import select
import signal
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat.conftest import DockerCli

pytestmark = [pytest.mark.privileged, pytest.mark.peer]


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


# -- run


def test_run_prints_the_output_and_gives_the_exit_code(cli: DockerCli) -> None:
    done = cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)
    assert cli.out("ps", "-aq") == ""


def test_run_of_a_missing_command_is_127_and_of_a_directory_126(cli: DockerCli) -> None:
    missing = cli("run", "--rm", "busybox", "no-such-command", check=False)
    assert missing.returncode == 127
    assert 'exec: "no-such-command": executable file not found in $PATH' in missing.stderr
    directory = cli("run", "--rm", "busybox", "/etc", check=False)
    assert 'exec: "/etc": is a directory' in directory.stderr
    # Docker 20.10's client does not know these words of a newer runc.
    assert directory.returncode == (126 if cli.major >= 23 else 125)
    assert cli.out("ps", "-aq") == ""


def test_run_of_an_unknown_image_says_so(cli: DockerCli) -> None:
    done = cli("run", "--rm", "--pull=never", "127.0.0.1:1/nothing", check=False)
    assert done.returncode == 125
    assert "No such image: 127.0.0.1:1/nothing:latest" in done.stderr


def test_run_detached_prints_the_id_and_the_container_runs(cli: DockerCli) -> None:
    container = cli.out("run", "-d", "--name", "sleeper", "busybox", "sleep", "60")
    assert re.fullmatch(r"[0-9a-f]{64}", container)
    assert cli.out("ps", "--format", "{{.Names}} {{.Image}} {{.Command}}") == 'sleeper busybox "sleep 60"'
    assert cli.out("inspect", "-f", "{{.State.Running}} {{.Name}}", "sleeper") == "true /sleeper"
    assert cli.out("ps", "-q", "--no-trunc") == container


def test_run_reads_stdin_until_half_close_and_still_writes_after(cli: DockerCli) -> None:
    data = os.urandom(300_000)
    done = cli.start("run", "--rm", "-i", "busybox", "sh", "-c", "sha256sum; echo late")
    out, err = done.communicate(data, timeout=30)
    assert out.decode() == f"{hashlib.sha256(data).hexdigest()}  -\nlate\n", err


def test_run_on_a_terminal(cli: DockerCli) -> None:
    master, slave = pty.openpty()
    try:
        process = cli.start(
            "run", "--rm", "-it", "busybox", "sh", "-c", "tty; stty size; read x; echo got-$x", terminal=slave
        )
        os.close(slave)
        text = _read_until(master, b"/dev/pts/0")
        os.write(master, b"word\n")
        text += _read_until(master, b"got-word")
        assert process.wait(15) == 0
    finally:
        os.close(master)


def _read_until(fd: int, wanted: bytes, seconds: float = 15.0) -> bytes:
    data = b""
    deadline = time.monotonic() + seconds
    while wanted not in data:
        ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no {wanted!r} in {data!r}"
        try:
            piece = os.read(fd, 65536)
        except OSError:
            piece = b""
        assert piece, f"no {wanted!r} in {data!r}"
        data += piece
    return data


def test_ctrl_c_reaches_the_container(cli: DockerCli) -> None:
    process = cli.start(
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"caught\n"
    assert process.wait(15) == 7


def test_options_reach_the_container(cli: DockerCli) -> None:
    script = "id -u; pwd; echo $A; hostname; cat /sys/class/net/*/address | wc -l; test -w / || echo read-only"
    out = cli.out(
        "run", "--rm", "-u", "1000", "-w", "/tmp", "-e", "A=b", "--hostname", "boat", "--network", "none",
        "--read-only", "busybox", "sh", "-c", script,
    )  # fmt: skip
    assert out.split("\n") == ["1000", "/tmp", "b", "boat", "1", "read-only"]


def test_a_bind_mount_and_a_volume_keep_what_is_written(cli: DockerCli, tmp_path: Path) -> None:
    cli(
        "run",
        "--rm",
        "-v",
        f"{tmp_path}:/host",
        "-v",
        "kept:/kept",
        "busybox",
        "sh",
        "-c",
        "echo a >/host/f; echo b >/kept/f",
    )
    assert (tmp_path / "f").read_text() == "a\n"
    assert cli.out("run", "--rm", "-v", "kept:/kept:ro", "busybox", "cat", "/kept/f") == "b"
    assert "kept" in cli.out("volume", "ls", "-q").split()
    assert json.loads(cli.out("volume", "inspect", "kept"))[0]["Driver"] == "local"
    assert cli.out("volume", "rm", "kept") == "kept"
    assert "no such volume" in cli("volume", "rm", "kept", check=False).stderr.lower()


# -- a container's life


def test_create_start_stop_restart_and_remove(cli: DockerCli) -> None:
    cli("create", "--name", "life", "busybox", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done")
    assert cli.out("inspect", "-f", "{{.State.Status}}", "life") == "created"
    assert cli.out("start", "life") == "life"
    assert cli.out("stop", "life") == "life"
    assert cli.out("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "life") == "exited 5"
    assert cli.out("restart", "-t", "1", "life") == "life"
    refused = cli("rm", "life", check=False)
    assert refused.returncode == 1
    assert "cannot remove container" in refused.stderr
    assert cli.out("rm", "-f", "life") == "life"
    assert "No such container: life" in cli("start", "life", check=False).stderr


def test_kill_wait_and_the_exit_code_of_a_signal(cli: DockerCli) -> None:
    cli("run", "-d", "--name", "victim", "busybox", "sleep", "60")
    waiting = cli.start("wait", "victim")
    time.sleep(0.3)
    assert cli.out("kill", "victim") == "victim"
    assert waiting.communicate(timeout=15)[0] == b"137\n"
    again = cli("kill", "victim", check=False)
    assert "is not running" in again.stderr


def test_rename_update_pause_and_unpause(cli: DockerCli) -> None:
    cli("run", "-d", "--name", "old", "busybox", "sleep", "60")
    cli("rename", "old", "new")
    cli("update", "--memory", "64m", "--memory-swap", "64m", "--restart", "on-failure:3", "new")
    inspected = json.loads(cli.out("inspect", "new"))[0]
    assert inspected["HostConfig"]["Memory"] == 64 << 20
    assert inspected["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    cli("pause", "new")
    assert cli.out("inspect", "-f", "{{.State.Status}}", "new") == "paused"
    cli("unpause", "new")
    assert cli.out("inspect", "-f", "{{.State.Status}}", "new") == "running"


def test_names_are_unique(cli: DockerCli) -> None:
    cli("create", "--name", "only", "busybox")
    taken = cli("create", "--name", "only", "busybox", check=False)
    assert 'Conflict. The container name "/only" is already in use by container' in taken.stderr


def test_prune_removes_stopped_containers(cli: DockerCli) -> None:
    stopped = cli.out("create", "busybox")
    running = cli.out("run", "-d", "busybox", "sleep", "60")
    assert stopped in cli.out("container", "prune", "-f")
    assert cli.out("ps", "-aq", "--no-trunc") == running
    assert "Total reclaimed space" in cli.out("system", "prune", "-f")


# -- looking inside


def test_logs_and_logs_follow(cli: DockerCli) -> None:
    cli("run", "-d", "--name", "talker", "busybox", "sh", "-c", "echo one; echo two >&2; sleep 1.5; echo three")
    follow = cli.start("logs", "-f", "talker")
    out, err = follow.communicate(timeout=20)
    assert (out, err) == (b"one\nthree\n", b"two\n")
    assert cli.out("logs", "--tail", "1", "talker") == "three"
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z one$", cli.out("logs", "-t", "talker").split("\n")[0])


def test_exec_with_output_stdin_and_exit_code(cli: DockerCli) -> None:
    cli("run", "-d", "--name", "host", "busybox", "sleep", "60")
    done = cli("exec", "host", "sh", "-c", "echo out; echo err >&2; exit 4", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 4)
    assert cli.out("exec", "-i", "host", "sh", "-c", "cat; echo end", stdin=b"through\n") == "through\nend"
    assert (
        cli.out("exec", "-u", "1", "-e", "A=b", "-w", "/tmp", "host", "sh", "-c", "id -u; echo $A; pwd")
        == "1\nb\n/tmp"
    )
    cli("exec", "-d", "host", "touch", "/made")
    until(lambda: cli("exec", "host", "test", "-e", "/made", check=False).returncode == 0)
    missing = cli("exec", "host", "no-such-command", check=False)
    assert missing.returncode == 127
    assert "executable file not found in $PATH" in missing.stderr + missing.stdout


def test_exec_in_a_stopped_container_is_refused(cli: DockerCli) -> None:
    container = cli.out("create", "busybox")
    done = cli("exec", container, "true", check=False)
    assert done.returncode == 1
    assert f"container {container} is not running" in done.stderr


def test_exec_moves_megabytes_through_stdin(cli: DockerCli) -> None:
    cli("run", "-d", "--name", "sink", "busybox", "sleep", "60")
    assert cli.out("exec", "-i", "sink", "wc", "-c", stdin=bytes(20 << 20)) == str(20 << 20)


def test_attach_sees_output_and_ends_with_the_container(cli: DockerCli) -> None:
    cli("run", "-d", "-i", "--name", "echo", "busybox", "sh", "-c", "read x; echo got-$x; exit 9")
    attached = cli.start("attach", "echo")
    time.sleep(0.5)
    # Standard input stays open: its end would detach, as with dockerd.
    assert attached.stdin is not None
    assert attached.stdout is not None
    attached.stdin.write(b"input\n")
    attached.stdin.flush()
    assert attached.stdout.read() == b"got-input\n"
    assert attached.wait(20) == 9


def test_top_stats_diff_and_port(cli: DockerCli) -> None:
    cli("run", "-d", "--name", "busy", "-p", "127.0.0.1::80", "busybox", "sh", "-c", "echo x >/new; sleep 60")
    until(lambda: "/new" in cli.out("diff", "busy"))
    assert "A /new" in cli.out("diff", "busy").split("\n")
    assert "sleep 60" in cli.out("top", "busy")
    assert re.match(r"busy [\d.]+%", cli.out("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}}", "busy"))
    assert re.fullmatch(r"127\.0\.0\.1:\d+", cli.out("port", "busy", "80"))


def test_cp_in_and_out(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"content\n")
    cli("create", "--name", "files", "busybox", "cat", "/tmp/in")
    cli("cp", str(tmp_path / "in"), "files:/tmp/in")
    assert cli.out("start", "-a", "files") == "content"
    cli("cp", "files:/tmp/in", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"content\n"
    missing = cli("cp", "files:/nothing", str(tmp_path), check=False)
    assert missing.returncode == 1
    # Docker 20.10's client has words of its own for any 404 of a path.
    words = (
        "Could not find the file /nothing in container files"
        if cli.major >= 23
        else "No such container:path: files:/nothing"
    )
    assert words in missing.stderr


def test_export_is_a_tar_of_the_file_system(cli: DockerCli, tmp_path: Path) -> None:
    cli("run", "--name", "source", "busybox", "sh", "-c", "echo marker >/marker")
    cli("export", "-o", str(tmp_path / "export.tar"), "source")
    with tarfile.open(tmp_path / "export.tar") as tar:
        file = tar.extractfile("marker")
        assert file is not None
        assert file.read() == b"marker\n"


def test_events_tell_a_containers_life(cli: DockerCli) -> None:
    since = str(time.time() - 1)
    cli("run", "--rm", "--name", "short", "busybox", "true")
    until(lambda: "destroy" in _actions(cli, since))
    actions = _actions(cli, since)
    wanted = ["create", "attach", "start", "die", "destroy"]
    assert [action for action in actions if action in wanted] == wanted


def _actions(cli: DockerCli, since: str) -> list[str]:
    until_now = str(time.time())
    return cli.out(
        "events", "--since", since, "--until", until_now, "--filter", "container=short", "--format", "{{.Action}}"
    ).split("\n")


# -- images


def test_images_tag_inspect_history_and_rmi(cli: DockerCli) -> None:
    assert "busybox" in cli.out("images", "--format", "{{.Repository}}").split("\n")
    cli("tag", "busybox", "other:v1")
    assert cli.out("image", "inspect", "-f", "{{.Id}}", "other:v1") == cli.out(
        "image", "inspect", "-f", "{{.Id}}", "busybox"
    )
    assert cli.out("history", "-q", "busybox")
    assert cli.out("rmi", "other:v1") == "Untagged: other:v1"
    assert "No such image: other:v1" in cli("rmi", "other:v1", check=False).stderr


def test_pull_from_a_registry_and_run(cli: DockerCli, published_image: str) -> None:
    first = cli.out("pull", published_image)
    assert f"Status: Downloaded newer image for {published_image}" in first
    assert f"Status: Image is up to date for {published_image}" in cli.out("pull", published_image)
    assert cli.out("run", "--rm", published_image) == "hello from the registry"
    assert cli.out("inspect", "-f", "{{.Config.Labels.tier}}", published_image) == "test"
    if cli.major >= 23:  # an experiment before, behind a switch of the client's configuration
        assert json.loads(cli.out("manifest", "inspect", "--insecure", published_image))["schemaVersion"] == 2
    assert "Untagged: " + published_image in cli.out("rmi", published_image)


def test_pull_of_what_is_not_there(cli: DockerCli, registry: str) -> None:
    done = cli("pull", f"{registry}/nothing:1", check=False)
    assert done.returncode == 1
    assert "manifest unknown" in done.stderr or "not found" in done.stderr
    bad = cli("pull", "127.0.0.1:1/nothing", check=False)
    assert "connection refused" in bad.stderr


def test_import_and_load(cli: DockerCli, tmp_path: Path, busybox_tar: Path) -> None:
    imported = cli.out("import", "--change", 'CMD ["echo","imported"]', str(busybox_tar), "made:1")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", imported)
    assert cli.out("run", "--rm", "made:1") == "imported"
    archive = _docker_archive(tmp_path, busybox_tar)
    assert cli.out("load", "-i", str(archive)) == "Loaded image: loaded:1"
    assert cli.out("run", "--rm", "loaded:1") == "from an archive"
    cli("rmi", "made:1", "loaded:1")
    (tmp_path / "garbage.tar").write_bytes(b"no archive at all" * 100)
    assert cli("load", "-i", str(tmp_path / "garbage.tar"), check=False).returncode == 1


def _docker_archive(directory: Path, root_tar: Path) -> Path:
    layer = root_tar.read_bytes()
    config = json.dumps(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": {"Cmd": ["echo", "from an archive"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["loaded:1"], "Layers": ["layer/layer.tar"]}]).encode()
    path = directory / "archive.tar"
    with tarfile.open(path, "w") as tar:
        for member_name, data in ((name, config), ("layer/layer.tar", layer), ("manifest.json", manifest)):
            member = tarfile.TarInfo(member_name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


# -- the engine


def test_version_and_info(cli: DockerCli) -> None:
    version = json.loads(cli.out("version", "--format", "{{json .}}"))
    assert version["Server"]["ApiVersion"] == "1.51"
    assert version["Server"]["Os"] == "linux"
    info = json.loads(cli.out("info", "--format", "{{json .}}"))
    assert info["OSType"] == "linux"
    assert info["Containers"] == 0
    assert not info.get("ServerErrors")
    assert "Server Version" in cli.out("info")
    assert "Images" in cli.out("system", "df")


def test_networks_are_listed_and_inspected(cli: DockerCli) -> None:
    assert sorted(cli.out("network", "ls", "--format", "{{.Name}}").split("\n")) == ["bridge", "host", "none"]
    cli("run", "-d", "--name", "joined", "busybox", "sleep", "60")
    network = json.loads(cli.out("network", "inspect", "bridge"))[0]
    assert [container["Name"] for container in network["Containers"].values()] == ["joined"]
    assert "is a pre-defined network and cannot be removed" in cli("network", "rm", "host", check=False).stderr


def test_swarm_commands_are_answered_as_by_an_engine_in_no_swarm(cli: DockerCli) -> None:
    for command in (("node", "ls"), ("service", "ls"), ("secret", "ls"), ("config", "ls"), ("stack", "ls")):
        done = cli(*command, check=False)
        assert done.returncode == 1
        assert "This node is not a swarm manager." in done.stderr
    assert cli.out("plugin", "ls", "-q") == ""
