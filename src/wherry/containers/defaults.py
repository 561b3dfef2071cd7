"""What dockerd fills into a HostConfig that leaves it open, before validation and as ``inspect`` shows it."""

from functools import cache

from wherry.containers.config import HostConfig, LogConfig
from wherry.security.masked_paths import READ_ONLY_PATHS, masked_paths
from wherry.settings import Settings

MIN_CPU_SHARES, MAX_CPU_SHARES = 2, 262144


@cache
def _masked_paths() -> tuple[str, ...]:
    return tuple(masked_paths())


def fill(host: HostConfig, settings: Settings) -> None:
    """Complete ``host`` in place."""
    if host.network_mode in ("", "default"):
        host.network_mode = "bridge"
    host.ipc_mode = host.ipc_mode or "private"
    # Private on cgroup v1 too, where dockerd says "host": it keeps the host's tree out of sight (S46).
    host.cgroupns_mode = host.cgroupns_mode or "private"
    host.runtime = host.runtime or settings.default_runtime
    host.restart_policy.name = host.restart_policy.name or "no"
    host.shm_size = host.shm_size or settings.default_shm_size_bytes
    _fill_log(host, settings)
    _fill_resources(host)
    if host.privileged:
        host.masked_paths = host.masked_paths or []
        host.readonly_paths = host.readonly_paths or []
    else:
        if host.masked_paths is None:
            host.masked_paths = list(_masked_paths())
        if host.readonly_paths is None:
            host.readonly_paths = list(READ_ONLY_PATHS)


def _fill_log(host: HostConfig, settings: Settings) -> None:
    log = host.log_config
    if not log.type:
        host.log_config = LogConfig(settings.log_driver, {**settings.log_opts, **(log.config or {})})
    elif log.type == settings.log_driver:
        log.config = {**settings.log_opts, **(log.config or {})}
    else:
        log.config = log.config or {}


def _fill_resources(host: HostConfig) -> None:
    if host.cpu_shares > 0:
        host.cpu_shares = min(max(host.cpu_shares, MIN_CPU_SHARES), MAX_CPU_SHARES)
    if host.memory > 0 and host.memory_swap == 0:
        host.memory_swap = host.memory * 2
    if host.memory_swappiness == -1:
        host.memory_swappiness = None
    if host.oom_kill_disable is None:
        host.oom_kill_disable = False
    if host.pids_limit is not None and host.pids_limit <= 0:
        host.pids_limit = -1 if host.pids_limit < 0 else None
