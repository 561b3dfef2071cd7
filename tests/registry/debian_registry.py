"""Debian's docker-registry, the real peer, on a loopback port."""

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 15.0


@contextmanager
def debian_registry(directory: Path, more_settings: str = "") -> Iterator[str]:
    """It answers at ``127.0.0.1:port`` until the block ends. Its store, settings and log are in ``directory``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = directory / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {directory}/registry}}}}\n"
        f"http: {{addr: '{address}'}}\n{more_settings}"
    )
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait_for(address)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=2):
                return
        except urllib.error.HTTPError as exc:
            exc.close()
            return  # it wants to know who asks
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
