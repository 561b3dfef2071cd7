"""The options of ``run`` and ``create`` as the body of ``POST /containers/create`` (docker/cli ``opts.go``).

Only what was asked for is sent: a field that is left out has the engine's default.
"""

from wherry.cli.options import Flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPHEMERAL_ANNOTATION = "io.wherry.ephemeral"
_NUMBERS = (
    ("cpu-shares", "CpuShares"), ("cpu-period", "CpuPeriod"), ("cpu-quota", "CpuQuota"),
    ("cpu-rt-period", "CpuRealtimePeriod"), ("cpu-rt-runtime", "CpuRealtimeRuntime"), ("cpus", "NanoCpus"),
    ("memory", "Memory"), ("memory-reservation", "MemoryReservation"), ("memory-swap", "MemorySwap"),
    ("kernel-memory", "KernelMemory"), ("blkio-weight", "BlkioWeight"), ("shm-size", "ShmSize"),
    ("oom-score-adj", "OomScoreAdj"), ("cpu-count", "CpuCount"), ("cpu-percent", "CpuPercent"),
    ("io-maxbandwidth", "IOMaximumBandwidth"), ("io-maxiops", "IOMaximumIOps"),
)  # fmt: skip
_TEXTS = (
    ("cpuset-cpus", "CpusetCpus"), ("cpuset-mems", "CpusetMems"), ("cgroup-parent", "CgroupParent"),
    ("ipc", "IpcMode"), ("pid", "PidMode"), ("uts", "UTSMode"), ("userns", "UsernsMode"),
    ("cgroupns", "CgroupnsMode"), ("runtime", "Runtime"), ("isolation", "Isolation"),
    ("volume-driver", "VolumeDriver"), ("cidfile", "ContainerIDFile"),
)  # fmt: skip
_LISTS = (
    ("group-add", "GroupAdd"), ("dns", "Dns"), ("dns-option", "DnsOptions"), ("dns-search", "DnsSearch"),
    ("add-host", "ExtraHosts"), ("link", "Links"),
    ("volumes-from", "VolumesFrom"), ("device-cgroup-rule", "DeviceCgroupRules"),
)  # fmt: skip
_SWITCHES = (
    ("privileged", "Privileged"), ("publish-all", "PublishAllPorts"), ("read-only", "ReadonlyRootfs"),
    ("rm", "AutoRemove"), ("oom-kill-disable", "OomKillDisable"),
)  # fmt: skip


def container_config(flags: Flags, image: str, command: list[str]) -> "dict[str, Any]":
    """The create body. Raises ValueError with Docker's text for options that contradict each other."""
    config: dict[str, Any] = {"Image": image}
    host: dict[str, Any] = {}
    _set_process(config, flags, command)
    _set_streams(config, flags)
    _set_modes(host, flags)
    for name, field in _TEXTS:
        if flags.text(name):
            host[field] = flags.text(name)
    for name, field in _NUMBERS:
        if flags.changed(name):
            host[field] = flags.number(name)
    for name, field in _LISTS:
        if flags.changed(name):
            host[field] = flags.many(name)
    for name, field in _SWITCHES:
        if flags.flag(name):
            host[field] = True
    if flags.changed("init"):
        host["Init"] = flags.flag("init")
    if flags.changed("pids-limit"):
        host["PidsLimit"] = flags.number("pids-limit")
    swappiness = flags.number("memory-swappiness")
    if swappiness != -1:
        if not 0 <= swappiness <= 100:
            raise ValueError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
        host["MemorySwappiness"] = swappiness
    if flags.changed("cap-add") or flags.changed("cap-drop"):
        from wherry.cli.capability_values import effective

        host["CapAdd"], host["CapDrop"] = effective(flags.many("cap-add"), flags.many("cap-drop"))
    if flags.changed("gpus"):
        from wherry.cli.device_values import parse_gpus

        host["DeviceRequests"] = [parse_gpus(text) for text in flags.many("gpus")]
    _set_restart(host, flags)
    _set_logging(host, flags)
    _set_rare(config, host, flags)
    if any(flags.changed(name) for name in ("network", "ip", "ip6", "mac-address", "network-alias", "link-local-ip")):
        from wherry.cli.network_values import set_networks

        set_networks(config, host, flags)
    else:
        host["NetworkMode"] = "default"
    config["HostConfig"] = host
    return config


def _set_process(config: "dict[str, Any]", flags: Flags, command: list[str]) -> None:
    if command:
        config["Cmd"] = command
    if flags.changed("entrypoint"):
        # An empty one resets the image's.
        config["Entrypoint"] = [flags.text("entrypoint")]
    for name, field in (
        ("user", "User"),
        ("workdir", "WorkingDir"),
        ("hostname", "Hostname"),
        ("domainname", "Domainname"),
        ("stop-signal", "StopSignal"),
    ):
        if flags.text(name):
            config[field] = flags.text(name)
    if flags.changed("stop-timeout"):
        config["StopTimeout"] = flags.number("stop-timeout")
    env = flags.many("env")
    if flags.changed("env-file"):
        from wherry.cli.env_file import read_env_file

        env = [entry for path in flags.many("env-file") for entry in read_env_file(path)] + env
    if env:
        config["Env"] = env
    labels = flags.many("label")
    if flags.changed("label-file"):
        from wherry.cli.env_file import read_label_file

        labels = [entry for path in flags.many("label-file") for entry in read_label_file(path)] + labels
    if labels:
        config["Labels"] = pairs(labels)


def pairs(entries: list[str]) -> dict[str, str]:
    """``["a=1", "b"]`` as ``{"a": "1", "b": ""}``."""
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _set_streams(config: "dict[str, Any]", flags: Flags) -> None:
    streams = flags.many("attach")
    interactive = flags.flag("interactive")
    detached = "detach" in flags and flags.flag("detach")
    config["Tty"] = flags.flag("tty")
    config["OpenStdin"] = interactive
    if detached:
        config["AttachStdin"] = config["AttachStdout"] = config["AttachStderr"] = False
        config["StdinOnce"] = False
        return
    config["AttachStdin"] = interactive or "stdin" in streams
    config["AttachStdout"] = not streams or "stdout" in streams
    config["AttachStderr"] = not streams or "stderr" in streams
    config["StdinOnce"] = interactive and bool(config["AttachStdin"])


def _set_modes(host: "dict[str, Any]", flags: Flags) -> None:
    pid = flags.text("pid")
    if pid not in ("", "host") and not (pid.startswith("container:") and pid != "container:"):
        raise ValueError("--pid: invalid PID mode")
    if flags.text("uts") not in ("", "host"):
        raise ValueError("--uts: invalid UTS mode")
    if flags.text("userns") not in ("", "host"):
        raise ValueError("--userns: invalid USER mode")
    if flags.text("cgroupns") not in ("", "host", "private"):
        raise ValueError("--cgroupns: invalid CGROUP mode")


def parse_restart_policy(text: str) -> "dict[str, Any]":
    """``on-failure:3`` as the API's RestartPolicy."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    policy: dict[str, Any] = {"Name": name, "MaximumRetryCount": 0}
    if count:
        try:
            policy["MaximumRetryCount"] = int(count)
        except ValueError:
            raise ValueError("invalid restart policy format: maximum retry count must be an integer") from None
    return policy


def _set_restart(host: "dict[str, Any]", flags: Flags) -> None:
    policy = parse_restart_policy(flags.text("restart"))
    if flags.flag("rm") and policy["Name"] not in ("", "no"):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    if flags.changed("restart"):
        host["RestartPolicy"] = policy


def _set_logging(host: "dict[str, Any]", flags: Flags) -> None:
    driver, options = flags.text("log-driver"), flags.many("log-opt")
    if driver == "none" and options:
        raise ValueError("invalid logging opts for driver none")
    if driver or options:
        host["LogConfig"] = {"Type": driver, "Config": pairs(options)}


def _set_rare(config: "dict[str, Any]", host: "dict[str, Any]", flags: Flags) -> None:
    """Options whose parsing lives in modules of its own: imported only if one is given."""
    if flags.changed("volume") or flags.changed("mount") or flags.changed("tmpfs"):
        _set_mounts(config, host, flags)
    if flags.changed("publish") or flags.changed("expose"):
        from wherry.cli.port_spec import parse_exposed, parse_published

        bindings = parse_published(flags.many("publish"))
        exposed = dict.fromkeys([*bindings, *parse_exposed(flags.many("expose"))])
        config["ExposedPorts"] = {port: {} for port in exposed}
        if bindings:
            host["PortBindings"] = bindings
    if flags.changed("ulimit"):
        from wherry.cli.option_checks import parse_ulimit

        by_name = {str(limit["Name"]): limit for limit in map(parse_ulimit, flags.many("ulimit"))}
        host["Ulimits"] = [by_name[name] for name in sorted(by_name)]
    if flags.changed("sysctl"):
        host["Sysctls"] = pairs(flags.many("sysctl"))
    annotations = pairs(flags.many("annotation"))
    if flags.flag("ephemeral"):
        annotations[EPHEMERAL_ANNOTATION] = "true"
    if annotations:
        host["Annotations"] = annotations
    if flags.changed("storage-opt"):
        if not all("=" in entry for entry in flags.many("storage-opt")):
            raise ValueError("invalid storage option")
        host["StorageOpt"] = pairs(flags.many("storage-opt"))
    if flags.changed("security-opt"):
        from wherry.cli.security_options import set_security

        set_security(host, flags.many("security-opt"))
    _set_devices(host, flags)
    if flags.flag("no-healthcheck") or any(
        flags.changed(f"health-{name}")
        for name in ("cmd", "interval", "retries", "start-interval", "start-period", "timeout")
    ):
        config["Healthcheck"] = _healthcheck(flags)


def _set_mounts(config: "dict[str, Any]", host: "dict[str, Any]", flags: Flags) -> None:
    from wherry.cli.mount_spec import parse_mount, parse_volume

    binds: list[str] = []
    for spec in flags.many("volume"):
        bind, target = parse_volume(spec)
        if bind:
            binds.append(bind)
        else:
            config.setdefault("Volumes", {})[target] = {}
    if binds:
        host["Binds"] = binds
    if flags.changed("mount"):
        host["Mounts"] = [parse_mount(spec) for spec in flags.many("mount")]
    if flags.changed("tmpfs"):
        host["Tmpfs"] = {path: opts for path, _, opts in (spec.partition(":") for spec in flags.many("tmpfs"))}


def _set_devices(host: "dict[str, Any]", flags: Flags) -> None:
    tables = ("device", "blkio-weight-device", "device-read-bps", "device-write-bps", "device-read-iops",
              "device-write-iops")  # fmt: skip
    if not any(flags.changed(name) for name in tables):
        return
    from wherry.cli import device_values

    if flags.changed("device"):
        named = [text for text in flags.many("device") if device_values.is_cdi_name(text)]
        if named:
            host.setdefault("DeviceRequests", []).append({"Driver": "cdi", "DeviceIDs": named})
        host["Devices"] = [device_values.parse_device(text) for text in flags.many("device") if text not in named]
    for name, field, parse in (
        ("blkio-weight-device", "BlkioWeightDevice", device_values.parse_weight_device),
        ("device-read-bps", "BlkioDeviceReadBps", device_values.parse_rate_device),
        ("device-write-bps", "BlkioDeviceWriteBps", device_values.parse_rate_device),
        ("device-read-iops", "BlkioDeviceReadIOps", device_values.parse_iops_device),
        ("device-write-iops", "BlkioDeviceWriteIOps", device_values.parse_iops_device),
    ):
        if flags.changed(name):
            host[field] = [parse(text) for text in flags.many(name)]


def _healthcheck(flags: Flags) -> "dict[str, Any]":
    names = ("interval", "timeout", "retries", "start-period", "start-interval")
    given = {name: flags.number(f"health-{name}") for name in names}
    if flags.flag("no-healthcheck"):
        if flags.text("health-cmd") or any(given.values()):
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for name, value in given.items():
        if value < 0:
            raise ValueError(f"--health-{name} cannot be negative")
    check: dict[str, Any] = {
        "Interval": given["interval"],
        "Timeout": given["timeout"],
        "Retries": given["retries"],
        "StartPeriod": given["start-period"],
        "StartInterval": given["start-interval"],
    }
    if flags.text("health-cmd"):
        check["Test"] = ["CMD-SHELL", flags.text("health-cmd")]
    return check
