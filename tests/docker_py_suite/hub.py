"""The images that docker-py's tests pull from docker.io, in a registry on a loopback port: a mirror for an engine.

All are Debian's busybox under the names the tests use, with what they expect of Alpine and of hello-world.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tests.registry.debian_registry import debian_registry
from wherry.images import bootstrap

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# What Alpine has, Debian's busybox has not and api_exec_test.py uses: an account and a directory.
_DIRECTORY = "var/opt"
_POSTGRES = "postgres:x:70:70::/var/lib/postgresql:/bin/sh\n"
_HELLO = "Hello from Docker!\nThis message shows that your installation appears to be working correctly."


def root_file_system(directory: Path) -> bytes:
    """busybox in a tar; downloaded once, and found again later."""
    path = directory / "busybox.tar"
    if not path.exists():
        path.write_bytes(bootstrap.busybox().tar)
    return path.read_bytes()


@contextlib.contextmanager
def serve(directory: Path, root: bytes) -> Iterator[str]:
    """Debian's docker-registry with the images, until the block ends; ``127.0.0.1:port``."""
    with debian_registry(directory) as address:
        _publish(directory, address, root)
        yield address


def _publish(directory: Path, address: str, root: bytes) -> None:
    alpine = _like_alpine(root)
    for name, tar, command, tags in (
        ("busybox", root, ["sh"], ("latest",)),
        ("alpine", alpine, ["/bin/sh"], ("latest", "3.10")),
        ("hello-world", root, ["echo", _HELLO], ("latest",)),
    ):
        layout = directory / f"layout-{name}"
        _write_layout(layout, tar, command)
        for tag in tags:
            subprocess.run(
                ["skopeo", "copy", "--format", "v2s2", "--dest-tls-verify=false", f"oci:{layout}:image",
                 f"docker://{address}/library/{name}:{tag}"],
                check=True, capture_output=True, timeout=120, env={**os.environ, "HOME": str(directory)},
            )  # fmt: skip


def _like_alpine(tar: bytes) -> bytes:
    """The root file system with one more account and one more directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(tar)) as source, tarfile.open(fileobj=out, mode="w") as target:
        for member in source:
            file = source.extractfile(member) if member.isreg() else None
            data = file.read() if file is not None else b""
            if member.name == "etc/passwd":
                data += _POSTGRES.encode()
                member.size = len(data)
            target.addfile(member, io.BytesIO(data))
        directory = tarfile.TarInfo(_DIRECTORY)
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        target.addfile(directory)
    return out.getvalue()


def _write_layout(directory: Path, tar: bytes, command: list[str]) -> None:
    """An OCI image layout of one layer, under the reference name ``image``."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data), "mediaType": media_type}

    machine = os.uname().machine
    config = {
        "architecture": _MACHINES.get(machine, machine),
        "os": "linux",
        "config": {"Cmd": command, "Env": [_PATH]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
        "history": [{"created_by": "busybox"}],
    }
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [put(gzip.compress(tar, 1, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    entry = put(json.dumps(manifest).encode(), manifest_type)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
