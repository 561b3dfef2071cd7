"""``update``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.container_config import parse_restart_policy
from wherry.cli.errors import CommandFailed
from wherry.cli.many import for_each
from wherry.cli.options import Option

_FIELDS = (
    ("blkio-weight", "BlkioWeight"), ("cpu-period", "CpuPeriod"), ("cpu-quota", "CpuQuota"),
    ("cpu-rt-period", "CpuRealtimePeriod"), ("cpu-rt-runtime", "CpuRealtimeRuntime"), ("cpu-shares", "CpuShares"),
    ("cpus", "NanoCpus"), ("memory", "Memory"), ("memory-reservation", "MemoryReservation"),
    ("memory-swap", "MemorySwap"), ("pids-limit", "PidsLimit"),
)  # fmt: skip


def _run(call: Invocation) -> int:
    flags, app = call.flags, call.app
    resources: dict[str, object] = {field: flags.number(name) for name, field in _FIELDS if flags.changed(name)}
    for name, field in (("cpuset-cpus", "CpusetCpus"), ("cpuset-mems", "CpusetMems")):
        if flags.text(name):
            resources[field] = flags.text(name)
    if flags.changed("restart"):
        try:
            resources["RestartPolicy"] = parse_restart_policy(flags.text("restart"))
        except ValueError as exc:
            raise CommandFailed(str(exc)) from None
    if not resources:
        raise CommandFailed("you must provide one or more flags when using this command")
    warnings: list[str] = []
    try:
        return for_each(app, call.args, lambda ref: warnings.extend(app.containers.update(ref, resources)))
    finally:
        for warning in warnings:
            app.err(warning)


UPDATE = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    _run,
    options=(
        Option("blkio-weight", "", "uint16",
               "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"),
        Option("cpu-period", "", "int", "Limit CPU CFS (Completely Fair Scheduler) period"),
        Option("cpu-quota", "", "int", "Limit CPU CFS (Completely Fair Scheduler) quota"),
        Option("cpu-rt-period", "", "int", "Limit the CPU real-time period in microseconds"),
        Option("cpu-rt-runtime", "", "int", "Limit the CPU real-time runtime in microseconds"),
        Option("cpu-shares", "c", "int", "CPU shares (relative weight)"),
        Option("cpus", "", "decimal", "Number of CPUs"),
        Option("cpuset-cpus", "", "string", "CPUs in which to allow execution (0-3, 0,1)"),
        Option("cpuset-mems", "", "string", "MEMs in which to allow execution (0-3, 0,1)"),
        Option("memory", "m", "bytes", "Memory limit"),
        Option("memory-reservation", "", "bytes", "Memory soft limit"),
        Option("memory-swap", "", "swap", "Swap limit equal to memory plus swap: -1 to enable unlimited swap",
               metavar="bytes"),
        Option("pids-limit", "", "int", "Tune container pids limit (set -1 for unlimited)"),
        Option("restart", "", "string", "Restart policy to apply when a container exits"),
    ),
    least=1,
    aliases=("container update", "update"),
)  # fmt: skip
