"""Both ways to a detached overlay: the mount API, and mount(2) for kernels whose overlayfs lacks ``lowerdir+``."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from wherry.snapshots import overlay_mount

pytestmark = pytest.mark.privileged

Open = Callable[..., int]


@pytest.fixture(params=["mount API", "mount(2)"])
def open_overlay(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    def by_context(lower: list[str], upper: str, work: str) -> int:
        return overlay_mount._by_context([os.path.join(tmp_path, path) for path in lower], upper, work)

    def by_mount(lower: list[str], upper: str, work: str) -> int:
        return overlay_mount._by_mount(str(tmp_path), lower, upper, work)

    return by_context if request.param == "mount API" else by_mount


@pytest.fixture
def lower(tmp_path: Path) -> list[str]:
    names = [f"layer{number:03}" for number in range(120)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    return names


def test_a_writable_overlay_of_many_layers(open_overlay: Open, lower: list[str], tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    (tmp_path / "work").mkdir()
    before = Path("/proc/self/mountinfo").read_text()
    fd = open_overlay(lower, str(tmp_path / "upper"), str(tmp_path / "work"))
    try:
        assert sorted(os.listdir(fd)) == lower
        os.mkdir("new", dir_fd=fd)
        os.unlink("layer007", dir_fd=fd)
        assert Path("/proc/self/mountinfo").read_text() == before
    finally:
        os.close(fd)
    assert (tmp_path / "upper" / "new").is_dir()
    assert stat.S_ISCHR(os.lstat(tmp_path / "upper" / "layer007").st_mode)
    assert Path("/proc/self/mountinfo").read_text() == before


def test_an_overlay_without_an_upper_is_read_only(open_overlay: Open, lower: list[str]) -> None:
    fd = open_overlay(lower, "", "")
    try:
        with pytest.raises(OSError, match="Read-only file system"):
            os.mkdir("new", dir_fd=fd)
    finally:
        os.close(fd)


def test_s28_a_redirect_in_a_layer_leads_nowhere(open_overlay: Open, tmp_path: Path) -> None:
    (tmp_path / "bottom" / "private").mkdir(parents=True)
    (tmp_path / "bottom" / "private" / "secret").touch()
    (tmp_path / "top" / "public").mkdir(parents=True)
    os.setxattr(tmp_path / "top" / "public", "trusted.overlay.redirect", b"/private")
    fd = open_overlay(["top", "bottom"], "", "")
    try:
        public = os.open("public", os.O_RDONLY, dir_fd=fd)
    except PermissionError:
        return  # refused outright: as good
    finally:
        os.close(fd)
    try:
        assert os.listdir(public) == []
    finally:
        os.close(public)
