"""Debian's dockerd, by hand: a private socket and data root, and a network namespace of its own.

In that namespace its default bridge and its iptables chains are no one else's, and go with the process.
"""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

_START_SECONDS = 30.0


class Dockerd:
    """One running dockerd with ``arguments`` besides; ``stop`` ends it and removes what it stored.

    ``own_network`` false leaves it in the caller's network namespace, which must then be no one else's.
    """

    def __init__(self, *arguments: str, own_network: bool = True) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="whp-", dir="/tmp"))
        self.socket = self.root / "docker.sock"
        self._log = self.root / "dockerd.log"
        command = [
            "dockerd", "--host", f"unix://{self.socket}", "--data-root", str(self.root / "data"),
            "--exec-root", str(self.root / "exec"), "--pidfile", str(self.root / "docker.pid"),
            "--storage-driver", "overlay2", "--cgroup-parent", f"/{self.root.name}",
            *arguments,
        ]  # fmt: skip
        if own_network:
            command = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *command]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("dockerd did not start:\n" + self._log.read_text()[-3000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in probe.recv(4096)
            except OSError:
                return False

    def stop(self) -> None:
        """SIGTERM (it stops its containers and its containerd), then remove the roots."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=30)
        finally:
            self._process.kill()
            self._process.wait(timeout=10)
        shutil.rmtree(self.root, ignore_errors=True)
        for directory in Path("/sys/fs/cgroup").glob(f"*/{self.root.name}"):
            directory.rmdir()
