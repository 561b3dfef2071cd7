"""Small images for tests: layers from a dict of files, a config that fits them, put into a registry or an archive."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any

from tests.registry.fake_registry import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Repository, sha256

JSON = dict[str, Any]


def layer_tar(files: dict[str, bytes]) -> bytes:
    """A plain tar; a name that ends in ``/`` is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclass
class TestImage:
    """An image with its bytes; change what you like, then ``push``."""

    __test__ = False

    layers: list[bytes]
    config: JSON = field(default_factory=dict)
    compressed: list[bytes] = field(default_factory=list)
    layer_media_type: str = OCI_LAYER_GZIP

    def __post_init__(self) -> None:
        self.compressed = self.compressed or [gzip.compress(layer, mtime=0) for layer in self.layers]
        base = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in self.layers]},
            "history": [
                {"created": "2024-01-02T03:04:05Z", "created_by": f"step {i}"} for i in range(len(self.layers))
            ],
        }
        self.config = {**base, **self.config}

    @property
    def config_bytes(self) -> bytes:
        return json.dumps(self.config).encode()

    @property
    def id(self) -> str:
        return sha256(self.config_bytes)

    def manifest(self) -> JSON:
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": self.id, "size": len(self.config_bytes)},
            "layers": [
                {"mediaType": self.layer_media_type, "digest": sha256(blob), "size": len(blob)}
                for blob in self.compressed
            ],
        }

    def push(self, repository: Repository, *tags: str, manifest: JSON | bytes | None = None) -> str:
        """Put everything there; the manifest's digest."""
        for blob in (self.config_bytes, *self.compressed):
            repository.add_blob(blob)
        return repository.add_manifest(manifest if manifest is not None else self.manifest(), *tags)

    def docker_archive(self, *tags: str, changes: JSON | None = None, extra: dict[str, bytes] | None = None) -> bytes:
        """As ``docker save`` before version 25 wrote it, without links."""
        names = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in self.layers]
        config_name = self.id.partition(":")[2] + ".json"
        entry = {"Config": config_name, "RepoTags": list(tags) or None, "Layers": names, **(changes or {})}
        members = dict(zip(names, self.layers, strict=True))
        members[config_name] = self.config_bytes
        members.update(extra or {})
        members["manifest.json"] = json.dumps([entry]).encode()
        return layer_tar(members)

    def oci_archive(self, annotations: dict[str, str] | None = None) -> bytes:
        """An OCI layout in a tar."""
        manifest = json.dumps(self.manifest()).encode()
        members = {"blobs/sha256/" + sha256(b)[7:]: b for b in (self.config_bytes, *self.compressed, manifest)}
        entry: JSON = {"mediaType": OCI_MANIFEST, "digest": sha256(manifest), "size": len(manifest)}
        if annotations:
            entry["annotations"] = annotations
        members["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
        members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
        return layer_tar(members)


def simple_image(text: str = "hello", layers: int = 2, size: int = 2000) -> TestImage:
    """A few layers with a file or two each."""
    seed = hashlib.sha256(text.encode()).digest()
    made = []
    for i in range(layers):
        noise = b"".join(hashlib.sha256(seed + bytes([i]) + n.to_bytes(4, "big")).digest() for n in range(size // 32))
        made.append(layer_tar({f"dir{i}/": b"", f"dir{i}/file": text.encode(), f"dir{i}/noise": noise}))
    return TestImage(made)
