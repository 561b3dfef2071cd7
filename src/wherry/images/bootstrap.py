"""A first image without a registry: ``busybox`` from the distribution's own package.

``apt-get download busybox-static`` uses this machine's mirrors and apt's own verification of signatures. The
package becomes a root file system in a tar that the same package gives byte for byte every time;
``POST /images/create?fromSrc=-`` imports it. As a command::

    python -m wherry.images.bootstrap > busybox.tar
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from typing import Final

from wherry.errors import System, Unavailable, WherryError
from wherry.images.deb import package_files

PACKAGE: Final = "busybox-static"
REFERENCE: Final = "busybox:latest"
CHANGES: Final = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'CMD ["sh"]',
)
"""What the import is to be given as ``changes``."""

_APT_TIMEOUT_SECONDS: Final = 300
_DIRECTORIES: Final = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "lib": 0o755, "opt": 0o755, "proc": 0o755,
    "root": 0o700, "run": 0o755, "sbin": 0o755, "sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755,
    "usr/sbin": 0o755, "var": 0o755, "var/log": 0o755, "var/spool": 0o755, "var/tmp": 0o1777,
}  # fmt: skip
_FILES: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "bin:x:2:2:bin:/bin:/bin/false\n"
    "sys:x:3:3:sys:/dev:/bin/false\n"
    "mail:x:8:8:mail:/var/spool/mail:/bin/false\n"
    "www-data:x:33:33:www-data:/var/www:/bin/false\n"
    "operator:x:37:37:Operator:/var:/bin/false\n"
    "nobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\n"
    "wheel:x:10:root\nwww-data:x:33:\nutmp:x:43:\nstaff:x:50:\nusers:x:100:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:::::::\ndaemon:*:::::::\nbin:*:::::::\nsys:*:::::::\nmail:*:::::::\n"
    "www-data:*:::::::\noperator:*:::::::\nnobody:*:::::::\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
}


@dataclass(frozen=True, slots=True)
class RootFileSystem:
    """A root file system and how to import it."""

    tar: bytes
    reference: str
    changes: tuple[str, ...]


class NoPackage(Unavailable):
    """The distribution's package cannot be had."""


def busybox() -> RootFileSystem:
    """Download the package and make the file system; raises NoPackage with apt's own words."""
    return RootFileSystem(_tar(_download()), REFERENCE, CHANGES)


def _download() -> bytes:
    if shutil.which("apt-get") is None:
        raise NoPackage(f"download {PACKAGE}: no apt-get on this machine", hint="Load an image with wherry load.")
    with tempfile.TemporaryDirectory(prefix="wherry-bootstrap-") as directory:
        os.chmod(directory, 0o755)  # apt downloads as its own user
        command = ["apt-get", "download", "-q", PACKAGE]
        try:
            subprocess.run(
                command, cwd=directory, check=True, capture_output=True, text=True, timeout=_APT_TIMEOUT_SECONDS,
                env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
        except subprocess.CalledProcessError as exc:
            reason = exc.stderr.strip().splitlines()[-1:] or [f"exit status {exc.returncode}"]
            raise NoPackage(f"download {PACKAGE}: {reason[0]}", hint="Run apt-get update, and try again.") from exc
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise NoPackage(f"download {PACKAGE}: {exc}") from exc
        names = [name for name in os.listdir(directory) if name.endswith(".deb")]
        if len(names) != 1:
            raise NoPackage(f"download {PACKAGE}: apt-get left {len(names)} packages")
        with open(os.path.join(directory, names[0]), "rb") as file:
            return file.read()


def _tar(package: bytes) -> bytes:
    binary = next(
        (data for path, _, data in package_files(package) if path in ("bin/busybox", "usr/bin/busybox")), None
    )
    if binary is None:
        raise System(f"unpack {PACKAGE}: no busybox in it")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode in _DIRECTORIES.items():
            _add(tar, name, tarfile.DIRTYPE, mode)
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, data=binary)
        for path in _applets(binary):
            _add(tar, path, tarfile.SYMTYPE, 0o777, link="/bin/busybox")
        for name, text in _FILES.items():
            _add(tar, name, tarfile.REGTYPE, 0o640 if name == "etc/shadow" else 0o644, data=text.encode())
    return out.getvalue()


def _applets(binary: bytes) -> list[str]:
    """Where busybox itself would put its links, sorted (``busybox --list-full``)."""
    with tempfile.TemporaryDirectory(prefix="wherry-bootstrap-") as directory:
        path = os.path.join(directory, "busybox")
        with open(path, "wb") as file:
            file.write(binary)
        os.chmod(path, 0o700)
        listed = subprocess.run([path, "--list-full"], check=True, capture_output=True, text=True, timeout=30).stdout
    places = ("bin/", "sbin/", "usr/bin/", "usr/sbin/")
    return sorted(name for name in listed.split() if name.startswith(places) and name != "bin/busybox")


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, *, data: bytes = b"", link: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, len(data), link
    tar.addfile(info, io.BytesIO(data))


def main() -> int:
    """Write the tar to standard output."""
    try:
        sys.stdout.buffer.write(busybox().tar)
    except WherryError as exc:
        sys.stderr.write(f"wherry: {exc}\n" + (f"{exc.hint}\n" if exc.hint else ""))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
