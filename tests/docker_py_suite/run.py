"""One run of docker-py's tests against one engine, in a network namespace of its own (``unshare --net``).

python -m tests.docker_py_suite.run wherry|dockerd WORK_DIRECTORY REPORT.xml [pytest arguments]
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docker_py_suite import hub, source
from tests.engine_under_test import EngineUnderTest
from tests.parity.dockerd import Dockerd

# A node that is no swarm's, plugins, which wherry has not, and credential programs, which no engine sees (and whose
# test replaces os.environ for every test after it).
_LEFT_OUT = (
    "credentials",
    "api_config_test.py", "api_plugin_test.py", "api_secret_test.py", "api_service_test.py", "api_swarm_test.py",
    "models_nodes_test.py", "models_services_test.py", "models_swarm_test.py",
)  # fmt: skip
_TEST_SECONDS = 120
# docker-py's own Makefile sets it; both engines are to speak the same.
_API_VERSION = "1.41"


@contextmanager
def _engine(which: str, root: Path, mirror: str) -> Iterator[Path]:
    """The API socket of a running engine whose docker.io is ``mirror``."""
    if which == "dockerd":
        dockerd = Dockerd("--registry-mirror", mirror, own_network=False)
        try:
            yield dockerd.socket
        finally:
            dockerd.stop()
        return
    engine = EngineUnderTest(root, {"registry-mirrors": [mirror]})
    try:
        engine.wherry("info")
        yield engine.socket
    finally:
        log = engine.log()
        engine.stop()
        if "Traceback" in log:
            sys.stderr.write(f"the engine's log has a traceback:\n{log[-8000:]}\n")


def _run(which: str, work: Path, report: Path, arguments: list[str]) -> int:
    unpacked, python = source.prepare(work)
    # A unix socket path holds 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "WHERRY_"))}
    try:
        with (
            hub.serve(root, hub.root_file_system(work)) as address,
            _engine(which, root, f"http://{address}") as sock,
        ):
            environment |= {
                "DOCKER_HOST": f"unix://{sock}",
                "HOME": str(root),
                "PYTHONDONTWRITEBYTECODE": "1",
                "DOCKER_TEST_API_VERSION": _API_VERSION,
            }
            (root / ".docker").mkdir(exist_ok=True)
            (root / ".docker" / "config.json").write_text(json.dumps({}))
            return subprocess.run(
                [str(python), "-m", "pytest", "tests/integration", "-q", "-p", "no:cacheprovider",
                 f"--timeout={_TEST_SECONDS}", f"--junitxml={report}",
                 *(f"--ignore=tests/integration/{name}" for name in _LEFT_OUT), *arguments],
                cwd=unpacked, env=environment, check=False,
            ).returncode  # fmt: skip
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sys.exit(_run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
