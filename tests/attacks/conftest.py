"""What the attack tests share: an engine, and images with the attacker's tools in them."""

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine_under_test import EngineUnderTest

_SOURCE = Path(__file__).parent / "probe.c"
ImageMaker = Callable[..., str]


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static attack program."""
    path = tmp_path_factory.mktemp("probe") / "probe"
    subprocess.run(["gcc", "-static", "-O1", "-o", str(path), str(_SOURCE)], check=True, timeout=120)
    return path


@pytest.fixture(scope="module")
def make_image(
    engine: EngineUnderTest, busybox_tar: Path, probe: Path, tmp_path_factory: pytest.TempPathFactory
) -> ImageMaker:
    """``make_image(name, {path: content or TarInfo}, changes=[…])``: busybox, the probe at /probe, and what is given.

    A str content is a symbolic link's target, bytes a file's content (mode 0755), a TarInfo goes in as it is.
    A path given here replaces busybox's own entry and everything below it.
    """

    def make(name: str, entries: dict[str, str | bytes | tarfile.TarInfo], changes: tuple[str, ...] = ()) -> str:
        path = tmp_path_factory.mktemp("image") / "image.tar"
        with tarfile.open(busybox_tar) as base, tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
            for member in base:
                clean = member.name.removeprefix("./").rstrip("/")
                if any(clean == replaced or clean.startswith(replaced + "/") for replaced in entries):
                    continue
                out.addfile(member, base.extractfile(member) if member.isreg() else None)
            _add_file(out, "probe", probe.read_bytes())
            for entry, content in entries.items():
                if isinstance(content, tarfile.TarInfo):
                    out.addfile(content)
                elif isinstance(content, str):
                    link = tarfile.TarInfo(entry)
                    link.type, link.linkname = tarfile.SYMTYPE, content
                    out.addfile(link)
                else:
                    _add_file(out, entry, content)
        options = [option for change in changes for option in ("--change", change)]
        engine.wherry("import", *options, str(path), name)
        return name

    return make


def _add_file(out: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    out.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="module")
def tools(make_image: ImageMaker) -> str:
    """busybox with the probe."""
    return make_image("tools", {})


def errnos(engine: EngineUnderTest, image: str, *checks: str, options: tuple[str, ...] = ()) -> dict[str, int]:
    """What each check of the probe got."""
    done = engine.wherry("run", "--rm", *options, image, "/probe", *checks)
    return {name: int(number) for name, number in (line.split() for line in done.stdout.splitlines())}
