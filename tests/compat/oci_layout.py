"""Writes a small OCI image layout: busybox and a second layer with one file."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_layout(directory: Path, root_tar: Path) -> None:
    """One image, named ``image`` in the layout; it prints its second layer's file when run."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    tars = [root_tar.read_bytes(), _one_file("greeting", b"hello from the registry\n")]
    layers = [put(gzip.compress(data, 1, mtime=0)) | {"mediaType": _LAYER} for data in tars]
    machine = os.uname().machine
    config = put(
        json.dumps(
            {
                "architecture": _MACHINES.get(machine, machine),
                "os": "linux",
                "config": {"Cmd": ["cat", "/greeting"], "Env": ["PATH=/bin:/usr/bin"], "Labels": {"tier": "test"}},
                "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(d).hexdigest() for d in tars]},
            }
        ).encode()
    )
    manifest = put(
        json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": config | {"mediaType": _CONFIG},
                "layers": layers,
            }
        ).encode()
    )
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    name = {"org.opencontainers.image.ref.name": "image"}
    index = {"schemaVersion": 2, "manifests": [manifest | {"mediaType": _MANIFEST, "annotations": name}]}
    (directory / "index.json").write_text(json.dumps(index))


def _one_file(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
