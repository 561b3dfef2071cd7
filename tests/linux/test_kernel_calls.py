"""The wrappers against the running kernel."""

import os
import signal

import pytest

from wherry.linux import features, mount, mount_api, mountinfo, process, terminal
from wherry.linux.filesystem import open_in_root
from wherry.linux.idmap import IdMapping, user_namespace
from wherry.linux.mount_api import FileSystemContext
from wherry.linux.namespaces import CLONE_NEWNS, open_namespace
from wherry.linux.pidfd import send_signal, wait_exited
from wherry.linux.process import clone3, close_except
from wherry.runtime.rootfs import mount_overlay_at


def test_clone3_makes_a_child_like_fork() -> None:
    pid, pidfd = clone3()
    if pid == 0:
        os._exit(7)
    assert wait_exited(pidfd, 5)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    with pytest.raises(ProcessLookupError):
        send_signal(pidfd, signal.SIGTERM)
    os.close(pidfd)


def test_close_except_keeps_what_is_named() -> None:
    kept = [os.open("/", os.O_RDONLY) for _ in range(5)][1::2]
    pid, pidfd = clone3()
    if pid == 0:
        close_except(kept)
        left = sorted(int(name) for name in os.listdir("/proc/self/fd"))
        os._exit(0 if [fd for fd in left if fd > 2 and fd in kept] == kept and len(left) <= 6 else 1)
    os.close(pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for fd in range(kept[0] - 1, kept[-1] + 2):
        os.close(fd)


def test_mountinfo_reads_escapes_and_optional_fields() -> None:
    line = r"36 35 98:0 /a\040b /mnt/x\011y rw,noatime shared:1 master:2 - ext4 /dev/ro\134ot rw,errors=continue"
    (item,) = mountinfo.parse(line + "\n")
    assert (item.mount_id, item.parent_id, item.device) == (36, 35, "98:0")
    assert (item.root, item.mount_point, item.source) == ("/a b", "/mnt/x\ty", "/dev/ro\\ot")
    assert item.propagation == ("shared:1", "master:2")
    assert item.super_options == ("rw", "errors=continue")


def test_mountinfo_of_this_process_has_a_root() -> None:
    assert any(item.mount_point == "/" for item in mountinfo.read())


def test_a_ptys_peer_is_opened_without_a_path() -> None:
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    terminal.unlock_peer(master)
    peer = terminal.open_peer(master)
    terminal.set_window_size(master, rows=12, columns=34)
    assert terminal.window_size(peer) == (12, 34)
    assert os.ttyname(peer) == f"/dev/pts/{terminal.peer_number(master)}"
    os.close(peer)
    os.close(master)


@pytest.mark.privileged
def test_a_detached_tmpfs_is_seen_by_nobody() -> None:
    before = len(mountinfo.read())
    with FileSystemContext("tmpfs") as context:
        context.set_string("size", "1m")
        context.create()
        tree = context.mount(mount_api.MOUNT_ATTR_NOEXEC)
    assert mount.file_system_magic(tree) == mount.TMPFS_MAGIC
    os.mkdir("inside", dir_fd=tree)
    os.close(open_in_root(tree, "/inside", os.O_PATH))
    assert len(mountinfo.read()) == before
    os.close(tree)


@pytest.mark.privileged
def test_the_kernels_explanation_is_in_the_error() -> None:
    with FileSystemContext("tmpfs") as context, pytest.raises(OSError, match="nonsense"):
        context.set_string("nonsense", "1")


@pytest.mark.privileged
def test_a_user_namespace_descriptor_has_the_mapping() -> None:
    fd = user_namespace([IdMapping(0, 5000, 10)], [IdMapping(0, 6000, 10)])
    own = open_namespace(os.getpid(), "user")
    assert os.fstat(fd).st_ino != os.fstat(own).st_ino
    os.close(fd)
    os.close(own)


@pytest.mark.privileged
def test_an_overlay_by_the_old_mount_call(tmp_path: object) -> None:
    """What kernels before 6.5 get; names with the characters that options are made of."""
    for name in ("low:er,1", "lower2", "upper", "work", "target"):
        os.mkdir(f"{tmp_path}/{name}")
    with open(f"{tmp_path}/low:er,1/file", "w", encoding="ascii") as file:
        file.write("top")
    pid, pidfd = clone3(CLONE_NEWNS)
    if pid == 0:
        status = 1
        try:
            mount_api.mount_setattr(mount_api.AT_FDCWD, path="/", propagation=mount.MS_PRIVATE, recursive=True)
            mount_overlay_at(
                {
                    "lower": [f"{tmp_path}/low:er,1", f"{tmp_path}/lower2"],
                    "upper": f"{tmp_path}/upper",
                    "work": f"{tmp_path}/work",
                    "volatile": False,
                    "readonly": False,
                },
                f"{tmp_path}/target",
            )
            status = 0 if os.path.getsize(f"{tmp_path}/target/file") == 3 else 2
        finally:
            os._exit(status)
    os.close(pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.privileged
def test_the_features_this_kernel_has_are_found() -> None:
    found = features.report()
    assert found["openat2"]
    assert found["mount API"]
    assert found["mount_setattr"]
    assert features.has("pid namespace")
    with pytest.raises(KeyError):
        features.has("teleport")


def test_signals_come_back_to_their_defaults() -> None:
    pid, pidfd = clone3()
    if pid == 0:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        process.reset_signals()
        fine = signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL and not signal.pthread_sigmask(signal.SIG_BLOCK, ())
        os._exit(0 if fine else 1)
    os.close(pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
