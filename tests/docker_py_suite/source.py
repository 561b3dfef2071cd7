"""docker-py's source archive from PyPI, and a virtual environment that runs its tests; both outside the repository."""

import subprocess
import sys
import tarfile
from pathlib import Path

_VERSION = "6.1.3"
# Later ones no longer know docker-py 6's transport adapter.
_REQUIREMENTS = (
    "requests<2.32",
    "urllib3<2",
    "paramiko",
    "websocket-client",
    "packaging",
    "pytest",
    "pytest-timeout",
)


def prepare(directory: Path) -> tuple[Path, Path]:
    """(the unpacked archive, the interpreter to run its tests with); made once, and found again later."""
    unpacked = directory / f"docker-{_VERSION}"
    python = directory / "venv" / "bin" / "python"
    if not unpacked.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
             "--dest", str(directory), f"docker=={_VERSION}"],
            check=True, timeout=300,
        )  # fmt: skip
        _unpack(directory / f"docker-{_VERSION}.tar.gz", directory)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(directory / "venv")], check=True, timeout=120)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *_REQUIREMENTS, str(unpacked)], check=True, timeout=600
        )
    return unpacked, python


def _unpack(archive: Path, directory: Path) -> None:
    """Regular files alone, each below ``directory``: an archive from elsewhere is never extracted on its own word."""
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file is None:
                continue
            target = directory / member.name
            if ".." in target.parts or not target.is_relative_to(directory):
                raise ValueError(f"{archive}: {member.name} is outside")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read())
            target.chmod(0o755 if member.mode & 0o100 else 0o644)
