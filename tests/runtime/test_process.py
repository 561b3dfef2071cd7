"""Running a program: errors in runc's words, descriptors, the working directory, terminals, exec, hooks, life."""

import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.descriptors import open_descriptors
from tests.runtime.container import WHERRY_RUNTIME, Runner, Spec, base_spec, read_all, shell
from wherry.linux import mountinfo, terminal
from wherry.runtime.exec import exec_process
from wherry.runtime.failure import RuntimeFailure, StartFailed
from wherry.runtime.start import start_container
from wherry.security.seccomp_profile import default_profile

pytestmark = pytest.mark.privileged


@pytest.mark.parametrize(
    ("args", "message", "code"),
    [
        (["nope"], 'exec: "nope": executable file not found in $PATH', 127),
        (["/x/y"], 'exec: "/x/y": stat /x/y: no such file or directory', 127),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied', 126),
        (["/etc"], 'exec: "/etc": is a directory', 126),
        ([""], 'exec: "": executable file not found in $PATH', 127),
    ],
)
def test_what_cannot_be_run_has_runcs_words_and_status(
    runner: Runner, args: list[str], message: str, code: int
) -> None:
    with pytest.raises(RuntimeFailure) as failure:
        runner.run(base_spec(*args))
    assert (failure.value.message, failure.value.exit_code) == (message, code)
    running = runner.start(base_spec("sleep", "60"))
    with pytest.raises(RuntimeFailure) as failure:
        running.execute(*args)
    assert (failure.value.message, failure.value.exit_code) == (message, code)


def test_a_file_that_is_no_program_fails_at_the_start(runner: Runner) -> None:
    with open(f"{runner.rootfs}/bin/garbage", "w", encoding="ascii") as file:
        file.write("no program\n")
    os.chmod(f"{runner.rootfs}/bin/garbage", 0o755)
    running = runner.create(base_spec("garbage"))
    with pytest.raises(StartFailed) as failure:
        start_container(running.created)
    assert (failure.value.message, failure.value.exit_code) == ("exec /bin/garbage: exec format error", 126)


def test_a_missing_cwd_is_made_but_not_by_exec(runner: Runner) -> None:
    spec = shell("pwd; sleep 60")
    spec["process"]["cwd"] = "/made/for/it"
    running = runner.start(spec)
    with pytest.raises(RuntimeFailure, match=re.escape('chdir to cwd ("/no") set in config.json failed')):
        running.execute("true", cwd="/no")
    assert os.path.isdir(f"{runner.rootfs}/made/for/it")


def test_exit_status_and_signal_reach_the_caller(runner: Runner) -> None:
    assert runner.sh("exit 42").status == 42
    assert runner.sh("kill -TERM $$; sleep 1; kill -9 1; exit 3").status == 3


def _descriptors(pid: int) -> set[str]:
    return set(os.listdir(f"/proc/{pid}/fd"))


def test_s34_no_descriptor_leaks_into_the_container(runner: Runner) -> None:
    leak = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        running = runner.create(shell("ls /proc/self/fd; sleep 60"))
        waiting = _descriptors(running.created.pid) - {"0", "1", "2"}
        targets = [os.readlink(f"/proc/{running.created.pid}/fd/{fd}") for fd in waiting]
        assert [target.split(":")[0] for target in targets] == ["socket"]  # the one it waits on
        start_container(running.created)
        assert _descriptors(running.created.pid) == {"0", "1", "2"}
        executed = running.execute("ls", "/proc/self/fd")
        assert executed.lines == ["0", "1", "2", "3"]  # 3 is ls's own
    finally:
        os.close(leak)


def test_preserved_descriptors_arrive(runner: Runner) -> None:
    if os.path.exists("/proc/self/fd/3"):
        saved: int | None = os.dup(3)
    else:
        saved = None
    reading, writing = os.pipe()
    os.write(writing, b"passed\n")
    os.close(writing)
    os.dup2(reading, 3, inheritable=True)
    try:
        result = runner.run(shell("cat <&3"), preserve_fds=1)
    finally:
        os.close(3)
        if saved is not None:
            os.dup2(saved, 3, inheritable=False)
            os.close(saved)
        if reading != 3:
            os.close(reading)
    assert result.output == "passed\n"


@pytest.mark.parametrize("number", range(3, 12))
def test_s35_a_cwd_through_a_descriptor_is_refused(runner: Runner, number: int) -> None:
    spec = shell("pwd; ls ../../../../../../etc/hostname")
    spec["process"]["cwd"] = f"/proc/self/fd/{number}"
    with pytest.raises(RuntimeFailure):
        runner.run(spec)
    running = runner.start(base_spec("sleep", "60"))
    with pytest.raises(RuntimeFailure):
        running.execute("pwd", cwd=f"/proc/self/fd/{number}")


def test_s35_the_cwd_of_a_passed_descriptor_is_refused(runner: Runner) -> None:
    """CVE-2024-21626 with a directory of the host that really is there."""
    leak = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    saved = os.dup(3) if os.path.exists("/proc/self/fd/3") else None
    os.dup2(leak, 3, inheritable=True)
    spec = shell("pwd; cat hostname")
    spec["process"]["cwd"] = "/proc/self/fd/3"
    try:
        with pytest.raises(RuntimeFailure, match="outside of container mount namespace root"):
            runner.run(spec, preserve_fds=1)
    finally:
        os.close(3)
        if saved is not None:
            os.dup2(saved, 3, inheritable=False)
            os.close(saved)
        if leak != 3:
            os.close(leak)


def test_s54_an_exec_is_confined_like_the_init(runner: Runner) -> None:
    script = (
        "grep -E 'Cap|NoNew|Seccomp|Groups' /proc/self/status; cat /proc/self/cgroup;"
        "for n in mnt net uts pid ipc cgroup user time; do readlink /proc/self/ns/$n; done"
    )
    spec = shell(f"{script}; sleep 60")
    spec["linux"]["seccomp"] = default_profile(spec["process"]["capabilities"]["bounding"])
    running = runner.start(spec)
    executed = running.execute("sh", "-c", script)
    time.sleep(0.1)
    init = os.read(running.output_fd, 65536).decode()
    assert executed.output == init
    assert "Seccomp:\t2" in init


def test_s54_an_exec_is_in_the_containers_cgroups_on_the_host(runner: Runner) -> None:
    running = runner.start(base_spec("sleep", "60"))
    with open(f"/proc/{running.created.pid}/cgroup", encoding="ascii") as file:
        wanted = file.read()
    running.execute("sh", "-c", "sleep 50 > /dev/null 2>&1 & sleep 0.1")
    others = [pid for pid in running.cgroups.pids() if pid != running.created.pid]
    assert others
    with open(f"/proc/{others[0]}/cgroup", encoding="ascii") as file:
        assert file.read() == wanted


def test_s53_a_waiting_process_cannot_be_inspected_from_inside(runner: Runner) -> None:
    """CVE-2016-9962: the same uid and capabilities would be enough, were the process dumpable."""
    running = runner.start(base_spec("sleep", "60"))
    spec = base_spec("sleep", "50")
    for entry in spec["linux"]["namespaces"]:
        if entry["type"] == "pid":
            entry["path"] = f"/proc/{running.created.pid}/ns/pid"
    waiting = runner.create(spec)
    with open(f"/proc/{waiting.created.pid}/status", encoding="ascii") as file:
        inside = next(line for line in file if line.startswith("NSpid")).split()[-1]
    result = running.execute(
        "sh", "-c", f"cat /proc/{inside}/environ; readlink /proc/{inside}/fd/*; ls /proc/{inside}/cwd/"
    )
    assert "Permission denied" in result.output
    assert "ENGINE" not in result.output
    assert result.status != 0
    start_container(waiting.created)
    assert running.execute("cat", f"/proc/{inside}/environ").status == 0


def test_s53_a_container_cannot_read_an_execs_descriptors(runner: Runner) -> None:
    """A scraper in the container reads /proc/*/{fd,environ} while the engine execs."""
    canary = "CANARY-S53"
    scraper = (
        "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || { tr '\\0' '\\n' < $p/environ; ls -l $p/fd; }; done"
        " 2>/dev/null; done | grep -m1 -E 'ENGINE_SECRET|/etc/hostname'; sleep 60"
    )
    running = runner.start(shell(scraper))
    leak = os.open("/etc/hostname", os.O_RDONLY)
    os.environ["ENGINE_SECRET"] = canary
    try:
        for _ in range(60):
            running.execute("true")
        poll = select.poll()
        poll.register(running.output_fd, select.POLLIN)
        assert not poll.poll(200), os.read(running.output_fd, 4096)
    finally:
        os.close(leak)
        del os.environ["ENGINE_SECRET"]


def test_s53_not_even_a_container_that_may_trace_gets_an_execs_descriptors(runner: Runner) -> None:
    """CAP_SYS_PTRACE opens every process of the container, the one that is on its way in included: what it must not
    have is then what may not be open any more when it becomes visible."""
    scraper = (
        "while :; do ls -l /proc/[0-9]*/fd; done 2>/dev/null | grep -m1 -E '/etc/hostname|cgroup|net:'; sleep 60"
    )
    spec = shell(scraper)
    for kind in ("bounding", "effective", "permitted"):
        spec["process"]["capabilities"][kind] = [*spec["process"]["capabilities"][kind], "CAP_SYS_PTRACE"]
    running = runner.start(spec)
    leaks = [os.open("/etc/hostname", os.O_RDONLY), os.open("/proc/self/ns/net", os.O_RDONLY)]
    try:
        for _ in range(150):
            running.execute("true")
        poll = select.poll()
        poll.register(running.output_fd, select.POLLIN)
        assert not poll.poll(200), os.read(running.output_fd, 4096)
    finally:
        for leak in leaks:
            os.close(leak)


def test_s61_a_hostile_python_library_in_the_image_is_not_loaded(runner: Runner) -> None:
    for folder in (f"{runner.rootfs}{os.path.dirname(os.__file__)}", f"{runner.rootfs}/usr/lib/python3"):
        os.makedirs(f"{folder}/encodings", exist_ok=True)
        for name in ("encodings/__init__.py", "encodings/cp437.py", "os.py", "linecache.py", "traceback.py"):
            with open(f"{folder}/{name}", "w", encoding="ascii") as file:
                file.write("open('/pwned', 'w').close()\n")
    running = runner.start(base_spec("sleep", "60"))
    running.execute("true")
    with pytest.raises(RuntimeFailure):
        running.execute("nope")
    with pytest.raises(RuntimeFailure):
        running.execute("true", cwd="/no")
    assert not os.path.exists(f"{runner.rootfs}/pwned")


def test_exec_in_a_paused_container_is_an_error(runner: Runner) -> None:
    running = runner.start(base_spec("sleep", "60"))
    running.cgroups.freeze()
    try:
        with pytest.raises(RuntimeFailure, match="cannot exec in a paused container"):
            running.execute("true")
    finally:
        running.cgroups.thaw()


def test_exec_in_an_ended_container_is_an_error(runner: Runner) -> None:
    running = runner.start(base_spec("true"))
    pid = running.created.pid
    running.finish()
    running.created.pid = pid
    try:
        with pytest.raises(RuntimeFailure, match="cannot exec in a stopped container"):
            running.execute("true")
    finally:
        running.created.pid = 0


def test_closing_a_created_container_ends_its_init(runner: Runner) -> None:
    running = runner.create(base_spec("sleep", "60"))
    running.created.close()
    assert os.waitstatus_to_exitcode(os.waitpid(running.created.pid, 0)[1]) == 1
    running.created.pid = 0


def test_a_failed_create_leaves_no_process_mount_or_descriptor(runner: Runner) -> None:
    spec = base_spec("nope")
    with pytest.raises(RuntimeFailure):
        runner.run(spec)
    before = (open_descriptors(), len(mountinfo.read()), _children())
    for _ in range(5):
        with pytest.raises(RuntimeFailure):
            runner.run(spec)
    assert (open_descriptors(), len(mountinfo.read()), _children()) == before


def _children() -> str:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return file.read()


def _terminal(spec: Spec) -> Spec:
    spec["process"]["terminal"] = True
    spec["process"]["consoleSize"] = {"height": 33, "width": 111}
    return spec


def test_a_terminal_is_the_controlling_one_and_dev_console(runner: Runner) -> None:
    script = "tty; stty size; stat -c '%t:%T %u' /dev/console /dev/pts/0; echo line > /dev/tty"
    running = runner.start(_terminal(shell(script)))
    assert running.created.console_fd is not None
    output = read_all(os.dup(running.created.console_fd))
    assert output.split("\r\n") == ["/dev/pts/0", "33 111", "88:0 0", "88:0 0", "line", ""]


def test_a_terminal_belongs_to_the_user(runner: Runner) -> None:
    spec = _terminal(shell("stat -c %u /dev/pts/0"))
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    running = runner.start(spec)
    assert running.created.console_fd is not None
    assert read_all(os.dup(running.created.console_fd)).strip() == "1000"


def test_s52_an_execs_terminal_is_the_containers_own(runner: Runner) -> None:
    running = runner.start(base_spec("sleep", "60"))
    process: dict[str, Any] = {
        **running.spec["process"], "args": ["sh", "-c", "tty; stty size"], "terminal": True,
        "consoleSize": {"height": 10, "width": 20},
    }  # fmt: skip
    executed = exec_process(process, spec=running.spec, pid=running.created.pid, pidfd=running.created.pidfd,
                            cgroups=running.cgroups)  # fmt: skip
    assert executed.console_fd is not None
    assert terminal.window_size(executed.console_fd) == (10, 20)
    assert read_all(executed.console_fd).split() == ["/dev/pts/0", "10", "20"]
    os.waitpid(executed.pid, 0)
    os.close(executed.pidfd)


def test_the_console_goes_to_the_console_socket(runner: Runner, tmp_path: object) -> None:
    path = f"{tmp_path}/c.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        running = runner.create(_terminal(shell("echo on the pty")), console_socket=path)
        assert running.created.console_fd is None
        connection, _ = listener.accept()
        with connection:
            name, fds, _, _ = socket.recv_fds(connection, 4096, 1)
    assert name.startswith(b"/dev/pts/")
    start_container(running.created)
    assert read_all(fds[0]) == "on the pty\r\n"


def _hook(path: str, script: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin", "A=hook"], **more}


def test_hooks_run_in_order_and_place_with_the_state(runner: Runner, tmp_path: object) -> None:
    log = f"{tmp_path}/log"
    spec = shell("cat /started")
    spec["hooks"] = {
        "prestart": [_hook("/bin/sh", f"echo prestart $A >> {log}; cat > {log}.state")],
        "createRuntime": [_hook("/bin/sh", f"echo createRuntime >> {log}; readlink /proc/self/ns/mnt >> {log}")],
        "createContainer": [_hook("/bin/sh", f"echo createContainer >> {log}; readlink /proc/self/ns/mnt >> {log}")],
        "startContainer": [_hook("/bin/sh", "cat > /started")],
    }
    result = runner.run(spec)
    with open(log, encoding="ascii") as file:
        lines = file.read().splitlines()
    host = os.readlink("/proc/self/ns/mnt")
    assert lines[:3] == ["prestart hook", "createRuntime", host]
    assert lines[3] == "createContainer"
    assert lines[4] != host
    with open(f"{log}.state", encoding="ascii") as file:
        state = json.load(file)
    assert state["status"] == "creating"
    assert state["pid"] > 1
    assert state["bundle"] == runner.bundle
    assert json.loads(result.output)["status"] == "created"


def test_a_failing_hook_stops_the_create_and_says_why(runner: Runner) -> None:
    for kind in ("prestart", "createRuntime", "createContainer"):
        spec = base_spec("true")
        spec["hooks"] = {kind: [_hook("/bin/sh", "echo the reason; exit 4")]}
        with pytest.raises(RuntimeFailure, match=f"error running {kind} hook #0: exit status 4, output: the reason"):
            runner.run(spec)


def test_a_hook_that_takes_too_long_is_killed(runner: Runner) -> None:
    spec = base_spec("true")
    spec["hooks"] = {"createRuntime": [_hook("/bin/sh", "exec sleep 30", timeout=1)]}
    began = time.monotonic()
    with pytest.raises(RuntimeFailure, match="ran past specified timeout of 1s"):
        runner.run(spec)
    assert time.monotonic() - began < 5


def test_an_overlay_lives_in_the_containers_namespace_only(runner: Runner, tmp_path: object) -> None:
    for name in ("upper", "work", "top"):
        os.mkdir(f"{tmp_path}/{name}")
    with open(f"{tmp_path}/top/layer", "w", encoding="ascii") as file:
        file.write("from the top layer\n")
    overlay: Any = {
        "lower": [f"{tmp_path}/top", runner.rootfs], "upper": f"{tmp_path}/upper", "work": f"{tmp_path}/work",
        "volatile": True, "readonly": False,
    }  # fmt: skip
    running = runner.start(shell("cat /layer; echo x > /written; sleep 60"), overlay=overlay)
    assert f"{tmp_path}" not in "".join(item.mount_point for item in mountinfo.read())
    options = running.execute("grep", " / overlay", "/proc/mounts").output
    assert "redirect_dir=nofollow" in options
    assert "volatile" in options
    assert "metacopy=on" not in options
    assert os.read(running.output_fd, 100) == b"from the top layer\n"
    assert os.path.exists(f"{tmp_path}/upper/written")
    assert not os.path.exists(f"{runner.rootfs}/written")


def test_s33_the_init_cannot_be_opened_for_writing(runner: Runner, tmp_path: object) -> None:
    """CVE-2019-5736: what a container reaches by /proc/<pid>/exe of the process that entered it."""
    config = base_spec("sleep", "30")
    with open(f"{runner.bundle}/config.json", "w", encoding="ascii") as file:
        json.dump(config, file)
    state_root = f"{tmp_path}/state"
    runtime = [WHERRY_RUNTIME, "--root", state_root]
    subprocess.run([*runtime, "create", "-b", runner.bundle, "s33"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)  # fmt: skip
    try:
        with open(f"{state_root}/s33/state.json", encoding="ascii") as file:
            pid = json.load(file)["pid"]
        with pytest.raises(OSError):
            os.close(os.open(f"/proc/{pid}/exe", os.O_WRONLY))
        assert os.readlink(f"/proc/{pid}/exe") != os.path.realpath(sys.executable)
    finally:
        subprocess.run([*runtime, "delete", "--force", "s33"], check=True)


def test_signals_are_default_and_unblocked(runner: Runner) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        result = runner.run(base_spec("grep", "-E", "SigBlk|SigIgn", "/proc/self/status"))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    assert {line.split()[1] for line in result.lines} == {"0" * 16}


def test_the_process_leads_its_own_session(runner: Runner) -> None:
    assert runner.sh("cut -d' ' -f6 /proc/self/stat").output.strip() == "1"


def test_pipes_of_the_process_belong_to_its_user(runner: Runner) -> None:
    spec = shell("echo through > /dev/stdout")
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    assert runner.run(spec).output == "through\n"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert os.stat("/dev/null").st_uid == 0
