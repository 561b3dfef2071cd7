"""The first image, from the distribution's own package."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.images.conftest import Service
from wherry.images.bootstrap import CHANGES, REFERENCE
from wherry.images.deb import InvalidPackage, package_files


@pytest.mark.privileged
def test_busybox_is_imported_and_complete(service: Service, busybox_tar: Path) -> None:
    with busybox_tar.open("rb") as tar:
        image = service.images.import_(
            tar, reference=REFERENCE, changes=CHANGES, progress=service.progress.append
        )  # fmt: skip
    assert image.repo_tags == ("busybox:latest",)
    assert image.config.defaults.cmd == ("sh",)
    assert image.config.defaults.env == ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    assert service.file(image, "bin/busybox")[:4] == b"\x7fELF"
    assert service.file(image, "etc/passwd").startswith(b"root:x:0:0:root:/root:/bin/sh\n")


def test_the_file_system_is_the_same_every_time(busybox_tar: Path) -> None:
    with tarfile.open(busybox_tar) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert len(set(names)) == len(names) > 250
    assert {"bin/sh", "bin/ls", "tmp", "root", "etc/group", "usr/bin/env"} <= set(names)
    assert {member.mtime for member in members} == {0}
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}
    modes = {member.name: member.mode for member in members}
    assert (modes["tmp"], modes["root"], modes["bin/busybox"], modes["etc/shadow"]) == (0o1777, 0o700, 0o755, 0o640)


@pytest.mark.parametrize("compression", ["none", "gzip", "xz", "zstd"])
def test_packages_are_read_as_dpkg_makes_them(tmp_path: Path, compression: str) -> None:
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    (root / "bin").mkdir()
    (root / "bin/tool").write_bytes(b"tool")
    (root / "bin/tool").chmod(0o755)
    package = tmp_path / "x.deb"
    subprocess.run(
        ["dpkg-deb", f"-Z{compression}", "--build", str(root), str(package)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    assert list(package_files(package.read_bytes())) == [("bin/tool", 0o755, b"tool")]


@pytest.mark.parametrize("data", [b"", b"!<arch>\n", b"!<arch>\n" + b"x" * 100, b"PK\x03\x04" + bytes(200)])
def test_what_is_no_package_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidPackage):
        list(package_files(data))


def test_an_empty_tar_is_no_package() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w"):
        pass
    with pytest.raises(InvalidPackage):
        list(package_files(out.getvalue()))
