"""Where things are and how the engine behaves: defaults, the settings file, environment, flags.

The settings file is ``/etc/wherry/daemon.json`` (rootless ``~/.config/wherry/daemon.json``, or
``WHERRY_CONFIG``) with the keys of Docker's ``daemon.json``; it is read only in :func:`load`. A client needs
no more than :mod:`wherry.roots`.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from wherry import roots
from wherry.errors import InvalidParameter
from wherry.roots import DEFAULT_DATA_ROOT, DEFAULT_RUN_ROOT


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting. Names are daemon.json's in snake_case; units are in the names where they have one."""

    data_root: str = DEFAULT_DATA_ROOT
    run_root: str = DEFAULT_RUN_ROOT
    group: str = "wherry"
    debug: bool = False
    idle_timeout_seconds: float = 300.0
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    max_concurrent_downloads: int = 4
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5
    max_layer_size_bytes: int = 64 << 30
    max_image_size_bytes: int = 256 << 30
    token_realms: Mapping[str, str] = field(default_factory=dict)
    log_driver: str = "json-file"
    log_opts: Mapping[str, str] = field(default_factory=dict)
    default_runtime: str = "wherry"
    runtimes: Mapping[str, str] = field(default_factory=dict)
    default_ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    default_shm_size_bytes: int = 64 << 20
    default_pids_limit: int = 2048
    shutdown_timeout_seconds: int = 15
    init: bool = False
    no_new_privileges: bool = False
    seccomp_profile: str = ""
    cgroup_parent: str = ""
    bridge: str = ""
    bip: str = ""
    default_address_pools: tuple[tuple[str, int], ...] = ()
    mtu: int = 1500
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    ip: str = "0.0.0.0"
    ip_forward: bool = True
    ip_masq: bool = True
    icc: bool = True
    labels: tuple[str, ...] = ()
    cdi_spec_dirs: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")
    hosts: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    tls: bool = False
    tlsverify: bool = False
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    events_max_size_bytes: int = 16 << 20
    events_max_age_seconds: float = 30 * 86400.0

    @property
    def instance(self) -> str:
        """Empty for the default roots, else 8 hex digits: keeps two engines on one host apart."""
        if self.data_root == DEFAULT_DATA_ROOT and self.run_root == DEFAULT_RUN_ROOT:
            return ""
        return hashlib.sha256(f"{self.data_root}\0{self.run_root}".encode()).hexdigest()[:8]

    @property
    def bridge_name(self) -> str:
        """The default bridge's interface: ``wherry0``, or ``wh-<instance>`` beside another engine."""
        return self.bridge or (f"wh-{self.instance}" if self.instance else "wherry0")

    @property
    def firewall_table(self) -> str:
        """The one nftables table (family inet) of this engine."""
        return f"wherry_{self.instance}" if self.instance else "wherry"

    @property
    def cgroup_root(self) -> str:
        """The cgroup under which every container's cgroup lies, ``/wherry`` or ``/wherry-<instance>``."""
        return self.cgroup_parent or (f"/wherry-{self.instance}" if self.instance else "/wherry")

    @property
    def api_socket(self) -> str:
        """The Docker Engine API's unix socket."""
        return roots.api_socket(self.run_root)

    @property
    def zygote_socket(self) -> str:
        """The zygote's seqpacket socket (mode 0600)."""
        return f"{self.run_root}/zygote.sock"

    @property
    def tls_authority(self) -> str:
        """Who signed the certificates of clients that come over TCP (PEM)."""
        return self.tlscacert or f"{os.path.dirname(self.config_file)}/ca.pem"

    @property
    def tls_certificate(self) -> str:
        """The engine's own certificate (PEM)."""
        return self.tlscert or f"{os.path.dirname(self.config_file)}/cert.pem"

    @property
    def tls_key(self) -> str:
        """Its key (PEM)."""
        return self.tlskey or f"{os.path.dirname(self.config_file)}/key.pem"

    @property
    def config_file(self) -> str:
        """Where :func:`load` looks when WHERRY_CONFIG is not set."""
        if self.data_root == DEFAULT_DATA_ROOT or os.geteuid() == 0:
            return "/etc/wherry/daemon.json"
        return os.path.expanduser("~/.config/wherry/daemon.json")


def paths() -> Settings:
    """The settings that the environment alone decides: what a client needs to find its engine."""
    return Settings(data_root=roots.data_root(), run_root=roots.run_root())


def load(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Defaults, then the settings file, then ``overrides`` (field names, from the command line).

    Raises InvalidParameter naming the file and the key for anything unreadable or of the wrong type.
    """
    settings = paths()
    path = os.environ.get("WHERRY_CONFIG") or settings.config_file
    values = _read_file(path)
    values.update(_serve_options())
    values.update({key: value for key, value in (overrides or {}).items() if value is not None})
    return replace(settings, **values)


def _serve_options() -> dict[str, Any]:
    """What ``wherry serve`` was given on its command line, for the engine that it starts (engine/launcher.py)."""
    import json  # see _read_file

    options = json.loads(os.environ.get("WHERRY_SERVE_OPTIONS") or "{}")
    return {name: _convert(name, raw) for name, raw in options.items()}


def _read_file(path: str) -> dict[str, Any]:
    import json  # start-up cost: the CLI's hot path never gets here

    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise InvalidParameter(f"read settings {path}: {exc}", hint="Fix the file or unset WHERRY_CONFIG.") from exc
    if not isinstance(document, dict):
        raise InvalidParameter(f"read settings {path}: not a JSON object")
    return {name: value for key, raw in document.items() for name, value in _setting(path, key, raw)}


# Keys of daemon.json whose name or shape differs from the field's.
_RENAMED = {
    "default-shm-size": "default_shm_size_bytes",
    "idle-timeout": "idle_timeout_seconds",
    "shutdown-timeout": "shutdown_timeout_seconds",
    "events-max-size": "events_max_size_bytes",
    "events-max-age": "events_max_age_seconds",
    "max-layer-size": "max_layer_size_bytes",
    "max-image-size": "max_image_size_bytes",
}


def _setting(path: str, key: str, raw: Any) -> list[tuple[str, Any]]:
    name = _RENAMED.get(key, key.replace("-", "_"))
    known = {f.name: f for f in fields(Settings)}
    if name not in known:
        raise InvalidParameter(
            f"read settings {path}: the following directives don't match any configuration option: {key}",
            hint="See docs/settings.md for the keys that wherry knows.",
        )
    try:
        return [(name, _convert(name, raw))]
    except (TypeError, ValueError, KeyError) as exc:
        raise InvalidParameter(f"read settings {path}: invalid value for {key}: {raw!r}") from exc


def _convert(name: str, raw: Any) -> Any:
    default = getattr(Settings(), name)
    if name == "runtimes":
        return {str(k): str(v["path"] if isinstance(v, dict) else v) for k, v in dict(raw).items()}
    if name == "default_ulimits":
        return {str(k): (int(v["Soft"]), int(v["Hard"])) for k, v in dict(raw).items()}
    if name == "default_address_pools":
        return tuple(_address_pool(dict(pool)) for pool in raw)
    if isinstance(default, bool):
        if not isinstance(raw, bool):
            raise TypeError(name)
        return raw
    if isinstance(default, int):
        if isinstance(raw, bool):
            raise TypeError(name)
        return int(raw)
    if isinstance(default, float):
        return float(raw)
    if isinstance(default, tuple):
        if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
            raise TypeError(name)
        return tuple(raw)
    if isinstance(default, Mapping):
        return {str(k): str(v) for k, v in dict(raw).items()}
    if not isinstance(raw, str):
        raise TypeError(name)
    return raw


def _address_pool(raw: Mapping[str, Any]) -> tuple[str, int]:
    import ipaddress  # start-up cost, see _read_file

    base, size = ipaddress.IPv4Network(raw["base"]), int(raw["size"])
    if not base.prefixlen <= size <= 30:
        raise ValueError(f"size {size} of pool {base}")
    return str(base), size
