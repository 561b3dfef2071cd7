"""A certificate authority by openssl: what a person makes by Docker's page on protecting the socket."""

import subprocess
from pathlib import Path


class Authority:
    """One CA in ``directory``; ``issue`` makes ``<name>.pem`` and ``<name>-key.pem``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.certificate = directory / "ca.pem"
        self._key = directory / "ca-key.pem"
        _openssl(
            "req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate, "-days", "30", "-subj", "/CN=ca"
        )

    def issue(self, name: str, *, days: int = 30, server: bool = False) -> tuple[Path, Path]:
        """Certificate and key for ``name``; ``days`` may be negative."""
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}-key.pem"
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        names = "DNS:localhost,IP:127.0.0.1"
        extensions.write_text(f"subjectAltName={names}\n" if server else "extendedKeyUsage=clientAuth\n")
        _openssl("req", *_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-out", certificate, "-days", str(days), "-extfile", extensions,
        )  # fmt: skip
        return certificate, key


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
