"""Every verb on real containers, seen by docker-py."""

import os
import time
from collections.abc import Callable
from typing import Any

import docker
import pytest
from docker.errors import APIError, NotFound

from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def sleeper(client: docker.DockerClient, **options: Any) -> Any:
    return client.containers.run("busybox", ["sleep", "60"], detach=True, **options)


def test_run_gives_output_and_exit_code(client: docker.DockerClient) -> None:
    assert client.containers.run("busybox", "echo hi", remove=True) == b"hi\n"
    with pytest.raises(docker.errors.ContainerError) as failed:
        client.containers.run("busybox", "sh -c 'echo no >&2; exit 4'", remove=True)
    assert failed.value.exit_status == 4


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("/nosuch", 127, "no such file or directory"),
        ("/etc", 126, ""),
    ],
)
def test_a_command_that_cannot_run(client: docker.DockerClient, command: str, code: int, text: str) -> None:
    container = client.containers.create("busybox", [command])
    with pytest.raises(APIError) as failed:
        container.start()
    assert failed.value.status_code == 400
    message = failed.value.explanation
    assert message.startswith("failed to create task for container: failed to create shim task: OCI runtime create")
    assert text in message
    container.reload()
    state = container.attrs["State"]
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("created", code, False)
    assert text in state["Error"]
    container.remove()


def test_a_failed_start_can_be_mended_and_started_again(client: docker.DockerClient, tmp_path: Any) -> None:
    source = tmp_path / "program"
    container = client.containers.create("busybox", ["/program"], volumes=[f"{source}:/program"])
    source.write_text("#!/bin/sh\necho mended\n", encoding="utf-8")
    with pytest.raises(APIError):
        container.start()
    source.chmod(0o755)
    container.start()
    assert container.wait()["StatusCode"] == 0
    assert container.logs() == b"mended\n"


def test_start_stop_restart_kill(client: docker.DockerClient) -> None:
    container = sleeper(client, name="steps")
    container.start()  # 304 is no error
    first = container.attrs["Id"]
    container.restart(timeout=0)
    container.reload()
    assert (container.status, container.id) == ("running", first)
    container.kill("SIGKILL")
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 137
    with pytest.raises(APIError, match="is not running"):
        container.kill()
    container.stop()  # 304
    container.start()
    assert container.exec_run("true").exit_code == 0


def test_the_stop_signal_is_the_images_or_the_containers(client: docker.DockerClient) -> None:
    script = "trap 'echo usr1; exit 7' USR1; while :; do sleep 0.1; done"
    container = client.containers.run("busybox", ["sh", "-c", script], detach=True, stop_signal="SIGUSR1")
    eventually(lambda: container.exec_run("true").exit_code == 0)
    time.sleep(0.2)
    container.stop(timeout=5)
    assert container.wait()["StatusCode"] == 7
    assert container.logs() == b"usr1\n"


def test_pause_and_unpause(client: docker.DockerClient) -> None:
    container = sleeper(client)
    container.pause()
    container.reload()
    assert container.attrs["State"]["Paused"] is True
    assert container.attrs["State"]["Running"] is True
    with pytest.raises(APIError, match="is paused, unpause the container before exec"):
        container.exec_run("true")
    with pytest.raises(APIError, match="cannot start a paused container, try unpause instead"):
        container.start()
    with pytest.raises(APIError, match="container is paused and must be unpaused first"):
        container.remove()
    container.unpause()
    assert container.exec_run("true").exit_code == 0
    with pytest.raises(APIError, match="is not paused"):
        container.unpause()


def test_r34_a_paused_container_can_be_killed_and_removed_at_once(client: docker.DockerClient) -> None:
    container = sleeper(client)
    container.pause()
    began = time.monotonic()
    container.remove(force=True)
    assert time.monotonic() - began < 2
    with pytest.raises(NotFound):
        client.containers.get(container.id)


def test_remove_refuses_a_running_container(client: docker.DockerClient) -> None:
    container = sleeper(client, name="busy")
    with pytest.raises(APIError) as refused:
        container.remove()
    assert refused.value.status_code == 409
    assert refused.value.explanation == (
        'cannot remove container "/busy": container is running: stop the container before removing or force remove'
    )


def test_names_are_unique_and_can_be_changed(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", name="first")
    with pytest.raises(APIError) as taken:
        client.containers.create("busybox", name="first")
    assert taken.value.explanation == (
        f'Conflict. The container name "/first" is already in use by container "{container.id}". You have to remove '
        "(or rename) that container to be able to reuse that name."
    )
    container.rename("second")
    client.containers.create("busybox", name="first")
    assert client.containers.get("second").id == container.id
    with pytest.raises(APIError, match="already in use"):
        container.rename("first")


def test_an_unknown_image_and_an_unknown_container(client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.ImageNotFound, match="No such image: nosuch:latest"):
        client.api.create_container("nosuch", "true")
    with pytest.raises(NotFound, match="No such container: nosuch"):
        client.containers.get("nosuch")


def test_wait_has_three_conditions(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", ["sh", "-c", "sleep 0.2; exit 5"])
    assert client.api.wait(container.id, condition="not-running")["StatusCode"] == 0
    container.start()
    assert client.api.wait(container.id, condition="next-exit")["StatusCode"] == 5
    doomed = client.containers.create("busybox", ["sh", "-c", "sleep 0.2; exit 6"], auto_remove=True)
    doomed.start()
    assert client.api.wait(doomed.id, condition="removed")["StatusCode"] == 6
    with pytest.raises(NotFound):
        doomed.reload()
    with pytest.raises(APIError, match="invalid condition"):
        client.api.wait(container.id, condition="never")


def test_list_filters(client: docker.DockerClient) -> None:
    running = sleeper(client, name="filter-run", labels={"tier": "web"}, ports={"80/tcp": None})
    stopped = client.containers.create("busybox", ["sh", "-c", "exit 3"], name="filter-stop")
    stopped.start()
    stopped.wait()

    def names(**filters: Any) -> set[str]:
        return {c.name for c in client.containers.list(all=True, filters=filters)}

    assert {c.name for c in client.containers.list()} == {"filter-run"}
    assert names(name="filter") == {"filter-run", "filter-stop"}
    assert names(label="tier=web") == {"filter-run"}
    assert names(label="tier=db") == set()
    assert names(status="exited") == {"filter-stop"}
    assert names(exited=3) == {"filter-stop"}
    assert names(id=running.short_id) == {"filter-run"}
    assert names(ancestor="busybox") == {"filter-run", "filter-stop"}
    assert names(since="filter-run") == {"filter-stop"}
    assert names(before="filter-stop") == {"filter-run"}
    running.reload()
    host_port = running.attrs["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
    assert names(publish=f"{host_port}/tcp") == {"filter-run"}
    assert names(expose="80") == {"filter-run"}
    assert names(network="bridge") == {"filter-run", "filter-stop"}
    assert names(health="none") == {"filter-run", "filter-stop"}
    shown = client.api.containers(filters={"name": "filter-run"})[0]
    assert shown["Status"].startswith("Up ")
    assert shown["Ports"][0]["PrivatePort"] == 80


def test_exec_has_its_own_user_directory_and_environment(client: docker.DockerClient) -> None:
    container = sleeper(client, environment={"A": "container"}, user="1000:1001")
    output = container.exec_run(
        ["sh", "-c", "id -u; id -g; pwd; echo $A $B"], user="7:8", workdir="/tmp", environment={"B": "exec"}
    )
    assert output.output == b"7\n8\n/tmp\ncontainer exec\n"
    assert container.exec_run("id -u").output == b"1000\n"
    assert container.exec_run("sh -c 'exit 9'").exit_code == 9
    with pytest.raises(APIError, match="unable to find user nobodyhere: no matching entries in passwd file"):
        created = client.api.exec_create(container.id, "true", user="nobodyhere")
        client.api.exec_start(created["Id"], detach=True)


def test_s54_an_exec_is_confined_like_the_container(client: docker.DockerClient) -> None:
    container = sleeper(client, cap_drop=["CHOWN"], security_opt=["no-new-privileges"], pids_limit=50)
    keys = "^(Cap(Prm|Eff|Bnd|Inh|Amb)|NoNewPrivs|Seccomp|Seccomp_filters):"
    first = container.exec_run(["grep", "-E", keys, "/proc/1/status"]).output
    assert container.exec_run(["grep", "-E", keys, "/proc/self/status"]).output == first
    links = "for n in cgroup ipc mnt net pid uts; do readlink /proc/%s/ns/$n; done"
    assert (
        container.exec_run(["sh", "-c", links % "1"]).output
        == container.exec_run(["sh", "-c", links % "self"]).output
    )


def test_an_exec_that_ended_is_remembered_and_runs_once(client: docker.DockerClient) -> None:
    container = sleeper(client)
    created = client.api.exec_create(container.id, ["sh", "-c", "exit 3"])["Id"]
    client.api.exec_start(created)
    eventually(lambda: client.api.exec_inspect(created)["ExitCode"] == 3)
    assert client.api.exec_inspect(created)["Running"] is False
    with pytest.raises(APIError) as again:
        client.api.exec_start(created)
    assert again.value.status_code == 409
    with pytest.raises(NotFound, match="No such exec instance: nosuch"):
        client.api.exec_inspect("nosuch")


def test_top_shows_the_processes_of_the_container_only(client: docker.DockerClient) -> None:
    container = client.containers.run("busybox", ["sh", "-c", "sleep 60 & sleep 61; true"], detach=True)
    eventually(lambda: len(container.top()["Processes"]) == 3)
    shown = container.top(ps_args="-o pid,args")
    assert shown["Titles"] == ["PID", "COMMAND"]
    assert {row[1] for row in shown["Processes"]} == {"sh -c sleep 60 & sleep 61; true", "sleep 60", "sleep 61"}
    with pytest.raises(APIError, match="Couldn't find PID field in ps output"):
        container.top(ps_args="-o args")


def test_s62_top_runs_the_hosts_ps(client: docker.DockerClient, tmp_path: Any) -> None:
    fake = tmp_path / "ps"
    fake.write_text("#!/bin/sh\ntouch /pwned\n", encoding="utf-8")
    fake.chmod(0o755)
    container = sleeper(client, volumes=[f"{fake}:/usr/local/sbin/ps", f"{fake}:/usr/local/sbin/nsenter"])
    assert len(container.top()["Processes"]) == 1
    assert container.exec_run("ls /pwned").exit_code != 0


def test_stats_have_a_cpu_percentage_in_one_shot(client: docker.DockerClient) -> None:
    container = client.containers.run("busybox", ["sh", "-c", "while :; do :; done"], detach=True)
    first = client.api.stats(container.id, stream=False, one_shot=True)
    time.sleep(0.2)
    second = client.api.stats(container.id, stream=False, one_shot=True)
    spent = second["cpu_stats"]["cpu_usage"]["total_usage"] - second["precpu_stats"]["cpu_usage"]["total_usage"]
    assert second["precpu_stats"]["cpu_usage"]["total_usage"] >= first["cpu_stats"]["cpu_usage"]["total_usage"]
    assert spent > 0
    assert second["pids_stats"]["current"] >= 1
    assert second["memory_stats"]["usage"] > 0
    assert "eth0" in second["networks"]


def test_update_changes_limits_of_a_running_container(client: docker.DockerClient) -> None:
    container = sleeper(client, mem_limit="64m", memswap_limit="128m")
    container.update(mem_limit="32m", memswap_limit="64m", cpu_shares=512)
    container.reload()
    host = container.attrs["HostConfig"]
    assert (host["Memory"], host["CpuShares"]) == (32 << 20, 512)
    if os.path.exists("/sys/fs/cgroup/memory"):
        assert container.exec_run("cat /sys/fs/cgroup/memory/memory.limit_in_bytes").output == b"%d\n" % (32 << 20)
    container.update(restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    container.reload()
    assert container.attrs["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    with pytest.raises(APIError, match="Minimum memory limit allowed is 6MB"):
        container.update(mem_limit=1 << 20)


def test_changes_commit_and_the_image_that_comes_of_it(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", ["sh", "-c", "echo new > /made; rm /etc/group"])
    container.start()
    container.wait()
    changes = {(change["Path"], change["Kind"]) for change in container.diff()}
    assert {("/made", 1), ("/etc", 0), ("/etc/group", 2)} <= changes
    image = container.commit("mine", "1", changes='CMD ["cat", "/made"]', author="me")
    assert client.containers.run("mine:1", remove=True) == b"new\n"
    client.images.remove(image.id, force=True)


def test_prune_removes_what_does_not_run(client: docker.DockerClient) -> None:
    running = sleeper(client)
    stopped = client.containers.create("busybox", labels={"a": "b"})
    assert client.containers.prune(filters={"label": "a=c"})["ContainersDeleted"] is None
    assert client.containers.prune(filters={"until": "1h"})["ContainersDeleted"] is None
    assert client.containers.prune()["ContainersDeleted"] == [stopped.id]
    assert [c.id for c in client.containers.list(all=True)] == [running.id]


def test_anonymous_volumes_go_with_v_and_with_auto_remove(client: docker.DockerClient) -> None:
    kept = client.containers.create("busybox", ["true"], volumes=["/data"])
    kept.remove()
    assert len(client.volumes.list()) == 1
    gone = client.containers.create("busybox", ["true"], volumes=["/data"])
    gone.remove(v=True)
    client.containers.run("busybox", ["true"], volumes=["/data"], detach=True, auto_remove=True)
    eventually(lambda: len(client.volumes.list()) == 1)
    volume = client.volumes.list()[0]
    user = client.containers.create("busybox", volumes=[f"{volume.name}:/d"])
    with pytest.raises(APIError, match=f"remove {volume.name}: volume is in use - .{user.id}."):
        volume.remove()
    user.remove()
    volume.remove()


def test_a_new_volume_is_filled_from_the_image_and_an_old_one_is_not(client: docker.DockerClient) -> None:
    count = "ls /etc | wc -l"
    first = client.containers.run("busybox", ["sh", "-c", count], volumes=["filled:/etc"], remove=True)
    assert int(first) > 3
    client.containers.run("busybox", ["sh", "-c", "rm /etc/passwd"], volumes=["filled:/etc"], remove=True)
    again = client.containers.run(
        "busybox", ["sh", "-c", "ls /etc/passwd || echo gone"], volumes=["filled:/etc"], remove=True
    )
    assert b"gone" in again
    client.volumes.get("filled").remove()


def test_an_ephemeral_container_begins_from_the_image_every_time(client: docker.DockerClient) -> None:
    script = "ls /made 2>/dev/null; touch /made"
    for labels, expected in (({"io.wherry.ephemeral": "true"}, b""), ({}, b"/made\n")):
        container = client.containers.create("busybox", ["sh", "-c", script], labels=labels)
        for _ in range(2):
            container.start()
            container.wait()
        assert container.logs() == expected


def test_namespaces_can_be_shared(client: docker.DockerClient) -> None:
    donor = sleeper(client, name="donor", ipc_mode="shareable")
    donor.exec_run("sh -c 'echo shared > /dev/shm/x'")
    modes = {"network_mode": "container:donor", "pid_mode": "container:donor", "ipc_mode": "container:donor"}
    script = "cat /dev/shm/x; hostname -i 2>/dev/null; ps | grep -c 'sleep 60'"
    output = client.containers.run("busybox", ["sh", "-c", script], remove=True, **modes)
    assert output.startswith(b"shared\n")
    assert donor.attrs["State"]["Pid"] == 0 or int(output.split()[-1]) >= 1
    donor.stop(timeout=0)
    with pytest.raises(APIError, match="cannot join network namespace of a non running container"):
        client.containers.run("busybox", ["true"], network_mode="container:donor", remove=True)


def test_restart_policies(client: docker.DockerClient) -> None:
    container = client.containers.run(
        "busybox", ["sh", "-c", "exit 1"], detach=True, restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}
    )

    def settled() -> bool:
        container.reload()
        return bool(container.status == "exited" and container.attrs["RestartCount"] == 2)

    eventually(settled, 10)


def test_health(client: docker.DockerClient) -> None:
    container = sleeper(
        client, healthcheck={"test": ["CMD-SHELL", "test -e /ok"], "interval": 100_000_000, "retries": 2}
    )

    def health() -> str:
        container.reload()
        return str(container.attrs["State"]["Health"]["Status"])

    eventually(lambda: health() == "unhealthy")
    container.exec_run("touch /ok")
    eventually(lambda: health() == "healthy")
    assert "(healthy)" in client.api.containers(filters={"id": container.id})[0]["Status"]
    assert container.attrs["State"]["Health"]["Log"][-1]["ExitCode"] == 0


def test_events_tell_a_containers_life(client: docker.DockerClient) -> None:
    since = int(time.time()) - 1
    container = client.containers.run("busybox", ["sh", "-c", "exit 2"], detach=True, name="told")
    container.wait()
    container.remove()
    events = client.events(since=since, until=int(time.time()) + 1, decode=True, filters={"container": "told"})
    actions = [event["Action"] for event in events]
    assert [action for action in actions if action in ("create", "start", "die", "destroy")] == [
        "create", "start", "die", "destroy",
    ]  # fmt: skip


def test_logs_are_cut_by_tail_and_time(client: docker.DockerClient) -> None:
    container = client.containers.run(
        "busybox", ["sh", "-c", "echo one; sleep 1.1; echo two; sleep 0.1; echo err >&2"], detach=True
    )
    container.wait()
    assert container.logs(stderr=False) == b"one\ntwo\n"
    assert container.logs(stdout=False) == b"err\n"
    assert container.logs(tail=2).startswith(b"two")
    stamped = container.logs(timestamps=True, stderr=False).splitlines()
    assert stamped[0].endswith(b"Z one")
    assert b"one" not in container.logs(since=time.time() - 1, stderr=False)


def test_r28_following_a_log_ends_with_the_container(client: docker.DockerClient, engine: EngineUnderTest) -> None:
    container = client.containers.run(
        "busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"], detach=True
    )
    began = time.monotonic()
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert time.monotonic() - began < 3


def test_a_volume_with_mount_options_is_mounted_while_it_is_used(client: docker.DockerClient) -> None:
    volume = client.volumes.create("ram", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m,nosuid"})
    mountpoint = volume.attrs["Mountpoint"]
    first = sleeper(client, volumes=["ram:/r"])
    second = sleeper(client, volumes=["ram:/r"])
    first.exec_run("sh -c 'echo shared > /r/f'")
    assert second.exec_run("cat /r/f").output == b"shared\n"
    assert b"1024" in second.exec_run("df -k /r").output
    assert os.path.ismount(mountpoint)
    first.remove(force=True)
    assert os.path.ismount(mountpoint)
    second.remove(force=True)
    eventually(lambda: not os.path.ismount(mountpoint))
    broken = client.volumes.create("broken", driver_opts={"type": "ext4", "device": "/nosuch"})
    with pytest.raises(APIError, match="failed to mount local volume"):
        sleeper(client, volumes=["broken:/r"])
    for container in client.containers.list(all=True):
        container.remove(force=True)
    broken.remove()
    volume.remove()


def test_a_published_port_can_be_published_again_at_once(engine: EngineUnderTest) -> None:
    for number in range(12):
        done = engine.wherry("run", "--rm", "-p", "127.0.0.1:18473:80", "busybox", "echo", str(number))
        assert done.stdout == f"{number}\n"


def test_a_container_that_ends_under_its_commit_is_committed(client: docker.DockerClient) -> None:
    for number in range(8):
        container = client.containers.run("busybox", ["sh", "-c", f"sleep 0.0{number}"], detach=True)
        image = container.commit()
        container.wait()
        client.images.remove(image.id)
