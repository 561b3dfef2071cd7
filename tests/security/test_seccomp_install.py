"""Filters in the kernel: what Docker's default profile does to a process that runs as root with every capability."""

import platform
import signal
import subprocess
import sys

import pytest

from tests.security.conftest import Confined
from wherry.linux import seccomp

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers here are x86_64's"),
]

# Call, arguments, what the filter makes of it. The kernel alone answers otherwise: the test below holds that.
KERNEL_SURFACE = {
    "io_uring_setup": (425, (0, 0), "EPERM"),
    "io_uring_enter": (426, (-1, 0, 0, 0, 0, 0), "EPERM"),
    "userfaultfd": (323, (-1,), "EPERM"),
    "bpf": (321, (999, 0, 0), "EPERM"),
    "perf_event_open": (298, (0, 0, -1, -1, 0), "EPERM"),
    "unshare(NEWUSER)": (272, (0x10000000,), "EPERM"),
    "unshare(NEWNS)": (272, (0x20000,), "EPERM"),
    "clone(NEWUSER)": (56, (0x10000000, 0, 0, 0, 0), "EPERM"),
    "clone3": (435, (0, 0), "ENOSYS"),
    "setns": (308, (-1, 0), "EPERM"),
    "mount": (165, (0, 0, 0, 0, 0), "EPERM"),
    "umount2": (166, (0, 0), "EPERM"),
    "open_tree": (428, (-1, 0, 0), "EPERM"),
    "move_mount": (429, (-1, 0, -1, 0, 0), "EPERM"),
    "fsopen": (430, (0, 0), "EPERM"),
    "mount_setattr": (442, (-1, 0, 0, 0, 0), "EPERM"),
    "pivot_root": (155, (0, 0), "EPERM"),
    "kexec_load": (246, (0, 999, 0, 0), "EPERM"),
    "kexec_file_load": (320, (-1, -1, 0, 0, 0), "EPERM"),
    "init_module": (175, (0, 0, 0), "EPERM"),
    "finit_module": (313, (-1, 0, 0), "EPERM"),
    "delete_module": (176, (0, 0), "EPERM"),
    "reboot": (169, (0, 0, 0, 0), "EPERM"),
    "swapon": (167, (0, 0), "EPERM"),
    "swapoff": (168, (0,), "EPERM"),
    "settimeofday": (164, (1, 0), "EPERM"),
    "clock_settime": (227, (0, 0), "EPERM"),
    "open_by_handle_at": (304, (-1, 0, 0), "EPERM"),
    "quotactl": (179, (0, 0, 0, 0), "EPERM"),
    "acct": (163, (1,), "EPERM"),
    "syslog": (103, (99, 0, 0), "EPERM"),
    "sethostname": (170, (0, -1), "EPERM"),
    "keyctl": (250, (99, 0, 0, 0, 0), "EPERM"),
    "add_key": (248, (0, 0, 0, 0, 0), "EPERM"),
    "request_key": (249, (0, 0, 0, 0), "EPERM"),
    "iopl": (172, (99,), "EPERM"),
    "kcmp": (312, (0, 0, 99, 0, 0), "EPERM"),
    "mbind": (237, (0, 0, 99, 0, 0, 0), "EPERM"),
    "move_pages": (279, (-1, 0, 0, 0, 0, 99), "EPERM"),
    "socket(AF_ALG)": (41, (38, 99, 0), "EPERM"),
    "socket(AF_VSOCK)": (41, (40, 99, 0), "EPERM"),
    "personality(READ_IMPLIES_EXEC)": (135, (0x0400000,), "EPERM"),
    "lsm_list_modules": (461, (0, 0, 99), "EPERM"),
}


def test_s66_the_kernel_surface_that_docker_closes_is_closed(confined: Confined) -> None:
    calls = {name: (number, *arguments) for name, (number, arguments, _) in KERNEL_SURFACE.items()}
    got = confined(f"docker_default()\ntell({{name: call(*line) for name, line in {calls!r}.items()}})")
    assert got == {name: refused for name, (_, _, refused) in KERNEL_SURFACE.items()}


def test_s66_without_the_filter_the_kernel_answers_otherwise(confined: Confined) -> None:
    """Else the table above would pass without any filter. (In a new user namespace all that
    follows would be EPERM too, and clone would really fork.)"""
    calls = {name: (n, *args) for name, (n, args, _) in KERNEL_SURFACE.items() if "NEWUSER" not in name}
    got = confined(f"tell({{name: call(*line) for name, line in {calls!r}.items()}})")
    assert {name for name in got if got[name] == KERNEL_SURFACE[name][2]} == set()


def test_what_programs_need_still_works_under_the_default_profile(confined: Confined) -> None:
    got = confined("""
docker_default()
import socket, subprocess, tempfile
for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_NETLINK):
    socket.socket(family, socket.SOCK_DGRAM).close()
thread = threading.Thread(target=lambda: None)
thread.start()
thread.join()
with tempfile.TemporaryFile() as file:
    file.write(b"x")
    os.fsync(file.fileno())
tell([subprocess.run(["/bin/sh", "-c", "echo $((1 + 1))"], capture_output=True).stdout.decode(), call(135, 0xFFFFFFFF)])
""")
    assert got == ["2\n", "ok"]


def test_s47_every_thread_that_is_there_already_is_filtered(confined: Confined) -> None:
    got = confined("""
stay = threading.Event()
threads = [threading.Thread(target=stay.wait) for _ in range(4)]
for thread in threads:
    thread.start()
docker_default()
modes = []
for task in os.listdir("/proc/self/task"):
    with open(f"/proc/self/task/{task}/status") as file:
        modes += [line.split()[1] for line in file if line.startswith("Seccomp:")]
stay.set()
tell(modes)
""")
    assert got == ["2"] * 5


def test_s48_x32_calls_are_filtered(confined: Confined) -> None:
    got = confined("docker_default()\ntell([call(0x40000000 | 165, 0, 0, 0, 0, 0), call(0x40000000 | 39)])")
    # The kernel itself has no x32 here (ENOSYS), or it has (ok): past the filter either way.
    assert got[0] == "EPERM"
    assert got[1] in ("ok", "ENOSYS")


I386 = """
code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# push rbx; mov eax, edi; mov ebx, esi; int 0x80; pop rbx; ret
code.write(bytes.fromhex("53 89f8 89f3 cd80 5b c3"))
int80 = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
"""


def has_int80() -> bool:
    finished = subprocess.run(
        [sys.executable, "-c", f"import ctypes, mmap{I386}int80(20, 0)"], check=False, timeout=30
    )
    return finished.returncode == 0


def test_s48_i386_calls_are_filtered_by_their_own_numbers(confined: Confined) -> None:
    if not has_int80():
        pytest.skip("this kernel has no 32-bit emulation")
    # 20 is getpid there (writev on x86_64), 21 mount (access on x86_64), 310 unshare.
    got = confined(
        I386 + "docker_default()\ntell([int80(20, 0) == os.getpid(), int80(21, 0), int80(310, 0x10000000)])"
    )
    assert got == [True, -1, -1]


def test_s48_i386_is_dead_where_it_is_not_listed() -> None:
    if not has_int80():
        pytest.skip("this kernel has no 32-bit emulation")
    source = f"""
import ctypes, mmap
from wherry.linux import seccomp
from wherry.security import bpf
{I386}
profile = {{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"]}}
seccomp.install(bpf.compile_profile(profile).program)
int80(20, 0)
"""
    finished = subprocess.run([sys.executable, "-c", source], check=False, timeout=30)
    assert finished.returncode == -signal.SIGSYS


def test_s49_calls_newer_than_the_profile_are_enosys(confined: Confined) -> None:
    got = confined(
        "docker_default()\ntell([call(n, 0, 0, 0, 0, 0, 0) for n in (435, 470, 600, 9999, 0x40000000 | 9999)])"
    )
    assert got == ["ENOSYS"] * 5


def test_a_capability_opens_what_belongs_to_it(confined: Confined) -> None:
    got = confined("""
docker_default((*capabilities.DEFAULT, "CAP_SYS_ADMIN", "CAP_SYS_TIME"))
tell([call(165, 0, 0, 0, 0, 0), call(272, 0x20000), call(227, 99, 0), call(246, 0, 999, 0, 0)])
""")
    assert got == ["EFAULT", "ok", "EINVAL", "EPERM"]


def test_installing_without_privilege_or_no_new_privileges_is_refused(confined: Confined) -> None:
    got = confined("""
from wherry.linux import capabilities as kernel
kernel.capset(effective=0, permitted=0, inheritable=0)
try:
    docker_default()
except OSError as exc:
    tell(errno.errorcode[exc.errno])
""")
    assert got == "EACCES"


def test_notified_calls_are_answered_through_the_listener(confined: Confined) -> None:
    got = confined("""
import fcntl, struct
profile = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/unused",
           "syscalls": [{"names": ["setdomainname"], "action": "SCMP_ACT_NOTIFY"}]}
compiled = bpf.compile_profile(profile)
assert compiled.needs_listener
listener = seccomp.install(compiled.program, compiled.flags, listener=True)
answers = []
thread = threading.Thread(target=lambda: answers.append(call(171, 0, 0)))
thread.start()
request = bytearray(80)
fcntl.ioctl(listener, 0xC0502100, request)  # SECCOMP_IOCTL_NOTIF_RECV
identifier, pid, flags, number = struct.unpack_from("=QIIi", request)
fcntl.ioctl(listener, 0xC0182101, struct.pack("=QqiI", identifier, 0, -errno.EXDEV, 0))  # ..._SEND
thread.join()
tell([number, answers[0], os.get_inheritable(listener)])
""")
    assert got == [171, "EXDEV", False]


def test_known_actions_are_available_and_others_are_not() -> None:
    assert seccomp.action_available(0x7FFF0000)
    assert not seccomp.action_available(0x12340000)


def test_the_test_process_itself_is_not_filtered() -> None:
    with open("/proc/self/status") as file:
        assert "Seccomp:\t0" in file.read()
