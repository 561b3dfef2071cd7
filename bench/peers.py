"""The engines that are compared, each on private roots and sockets, started and stopped by the bench."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_START_SECONDS = 30.0


def install(directory: Path) -> Path:
    """The project as users have it, a wheel in a virtual environment of its own; the directory of its commands."""
    environment = directory / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    project = Path(__file__).resolve().parent.parent
    subprocess.run([str(environment / "bin" / "pip"), "install", "--quiet", str(project)], check=True)
    return environment / "bin"


def _which(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise RuntimeError(f"{program} is not installed; make bench installs the peers")
    return path


def busybox_tar(directory: Path) -> Path:
    """A busybox root file system as a tar, the same for every engine."""
    path = directory / "busybox.tar"
    with path.open("wb") as file:
        subprocess.run([sys.executable, "-m", "wherry.images.bootstrap"], stdout=file, check=True)
    return path


class Engine:
    """A command prefix, its environment, and the processes that serve it."""

    name = ""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="whb-", dir="/tmp"))
        self.prefix: list[str] = []
        self.environment = dict(os.environ)

    def command(self, *arguments: str) -> list[str]:
        """The whole argument vector of one command."""
        return [*self.prefix, *arguments]

    def output(self, *arguments: str) -> str:
        """Standard output of one command that must succeed."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.name} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def load_busybox(self, tar: Path) -> None:
        """Make the image ``busybox`` from the tar."""
        self.output("import", "-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin:/usr/bin:/sbin", str(tar), "busybox")

    def version(self) -> str:
        """What it calls itself."""
        return self.output("--version").splitlines()[0]

    def service_pids(self) -> list[int]:
        """Its resident processes, without those of containers."""
        return []

    def stop(self) -> None:
        """End what the bench started and remove its roots."""
        shutil.rmtree(self.root, ignore_errors=True)


class Wherry(Engine):
    """Our own."""

    name = "wherry"

    def __init__(self, commands: Path) -> None:
        super().__init__()
        self.commands = commands
        self.prefix = [str(commands / "wherry")]
        self.environment |= {
            "WHERRY_DATA_ROOT": str(self.root / "data"),
            "WHERRY_RUN_ROOT": str(self.root / "run"),
        }
        self.socket = self.root / "run" / "wherry.sock"

    def shut_down(self) -> None:
        """Stop the engine and zygote, so that the next command is a first one."""
        self.output("system", "stop")

    def service_pids(self) -> list[int]:
        # The zygote's own environment is empty; it is the engine's parent.
        engines = _processes_with(f"WHERRY_RUN_ROOT={self.root / 'run'}")
        return sorted({*engines, *(parent for pid in engines if (parent := _parent(pid)) > 1)})

    def stop(self) -> None:
        ids = self.output("ps", "-aq").split()
        if ids:
            self.output("rm", "-f", *ids)
        self.shut_down()
        super().stop()


class Docker(Engine):
    """Debian's dockerd with its default bridge, on a private socket."""

    name = "docker"

    def __init__(self) -> None:
        super().__init__()
        self.socket = self.root / "docker.sock"
        self._had_bridge = Path("/sys/class/net/docker0").exists()
        with (self.root / "dockerd.log").open("wb") as log:
            self._daemon = subprocess.Popen(
                [_which("dockerd"), "--data-root", str(self.root / "data"), "--exec-root", str(self.root / "exec"),
                 "--pidfile", str(self.root / "docker.pid"), "--host", f"unix://{self.socket}"],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.prefix = [_which("docker"), "-H", f"unix://{self.socket}"]
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("dockerd did not start:\n" + (self.root / "dockerd.log").read_text()[-2000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        done = subprocess.run(self.command("version"), capture_output=True, check=False)
        return done.returncode == 0

    def version(self) -> str:
        return "dockerd " + self.output("version", "--format", "{{.Server.Version}}")

    def service_pids(self) -> list[int]:
        return [self._daemon.pid, *_children(self._daemon.pid)]

    def stop(self) -> None:
        ids = self.output("ps", "-aq").split()
        if ids:
            self.output("rm", "-f", *ids)
        self._daemon.send_signal(signal.SIGTERM)
        self._daemon.wait(timeout=30)
        if not self._had_bridge:
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
        super().stop()


def podman_runtime() -> str:
    """crun, or runc where crun refuses the machine's cgroups (hybrid v1 with a controller on v2)."""
    hybrid = Path("/sys/fs/cgroup/unified/cgroup.controllers")
    if hybrid.exists() and hybrid.read_text().strip():
        return _which("runc")
    return _which("crun")


class Podman(Engine):
    """Debian's podman, with crun where it runs."""

    name = "podman"

    def __init__(self) -> None:
        super().__init__()
        self._runtime = podman_runtime()
        self.prefix = [
            _which("podman"), "--root", str(self.root / "data"), "--runroot", str(self.root / "run"),
            "--cgroup-manager", "cgroupfs", "--runtime", self._runtime, "--events-backend", "file",
        ]  # fmt: skip
        # Its own default limits are above this machine's hard ones, and it refuses to start then.
        settings = self.root / "containers.conf"
        settings.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n')
        self.environment["CONTAINERS_CONF"] = str(settings)

    def version(self) -> str:
        shown = subprocess.run([self._runtime, "--version"], capture_output=True, text=True, check=True).stdout
        return f"{self.output('--version')} with {shown.splitlines()[0]}"

    def load_busybox(self, tar: Path) -> None:
        self.output("import", "-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin:/usr/bin:/sbin", str(tar), "localhost/busybox")

    def stop(self) -> None:
        self.output("rm", "-fa", "-t", "0")
        super().stop()


def _children(parent: int) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            continue  # it ended while we looked
        if int(stat.rpartition(")")[2].split()[1]) == parent:
            found.append(int(pid))
    return found


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])


def _processes_with(variable: str) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended while we looked
        if variable in environment.split("\0"):
            found.append(int(pid))
    return found


def pss_bytes(pid: int) -> int:
    """Proportional memory of one process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
