"""One whole engine for tests, driven only from outside: our CLI, the docker CLI, the socket."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_BIN = Path(sys.executable).parent
_TIMEOUT_SECONDS = 60.0


class EngineUnderTest:
    """An engine with its own data root, run root and settings, all under ``root``."""

    def __init__(self, root: Path, settings: dict[str, object]) -> None:
        self.root = root
        self.data_root = root / "data"
        self.run_root = root / "run"
        self.socket = self.run_root / "wherry.sock"
        config = root / "daemon.json"
        config.write_text(json.dumps(settings), encoding="utf-8")
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("WHERRY_", "DOCKER_"))},
            "WHERRY_DATA_ROOT": str(self.data_root),
            "WHERRY_RUN_ROOT": str(self.run_root),
            "WHERRY_CONFIG": str(config),
            "DOCKER_CONFIG": str(root / "docker-config"),
            "HOME": str(root),
        }

    def wherry(
        self,
        *arguments: str,
        check: bool = True,
        stdin: bytes | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Our CLI. With ``check`` a failure shows both outputs and the end of the engine's log."""
        return self._run([str(_BIN / "wherry"), *arguments], check, stdin, timeout, environment or {})

    def docker(
        self, *arguments: str, check: bool = True, stdin: bytes | None = None, timeout: float = _TIMEOUT_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """The real docker CLI against our socket."""
        return self._run(["docker", "-H", f"unix://{self.socket}", *arguments], check, stdin, timeout, {})

    def _run(
        self,
        command: list[str],
        check: bool,
        stdin: bytes | None,
        timeout: float,
        environment: dict[str, str],
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, capture_output=True, input=stdin if stdin is not None else b"", timeout=timeout,
            env=self.environment | environment, check=False,
        )  # fmt: skip
        result = subprocess.CompletedProcess(
            command, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if check and result.returncode:
            raise AssertionError(
                f"{command} exited {result.returncode}\n--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}\n"
                f"--- engine log\n{self.log()[-4000:]}"
            )
        return result

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Our CLI in the background; the caller ends it."""
        return subprocess.Popen(
            [str(_BIN / "wherry"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )

    def import_busybox(self, tar: Path) -> None:
        """Make the image ``busybox`` as ``make demo`` does, from a root file system made once a session."""
        self.wherry(
            "import", "--change", 'CMD ["sh"]',
            "--change", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            str(tar), "busybox",
        )  # fmt: skip

    def log(self) -> str:
        """The engine's and zygote's diagnostics."""
        path = self.run_root / "engine.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def engine_pid(self) -> int:
        """The engine process; 0 when none runs."""
        return next((pid for pid in self._own_processes("wherry.api")), 0)

    def _own_processes(self, module: str) -> list[int]:
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                environment = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
            except OSError:
                continue  # it ended while we looked
            if module in command and f"WHERRY_RUN_ROOT={self.run_root}" in environment:
                found.append(int(pid))
        return found

    def kill_engine(self) -> int:
        """SIGKILL the engine process; its pid."""
        pid = self.engine_pid()
        assert pid, "no engine runs"
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
            time.sleep(0.005)
        return pid

    def stop(self) -> None:
        """Remove all containers, stop engine and zygote."""
        listed = self.wherry("ps", "-aq", check=False)
        ids = listed.stdout.split()
        if ids:
            self.wherry("rm", "-f", *ids, check=False)
        self.wherry("system", "stop", check=False)
