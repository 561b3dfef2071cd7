"""exec and ps."""

from __future__ import annotations

import json
import os
import re

from wherry.errors import Conflict, InvalidParameter
from wherry.linux.pidfd import pidfd_open
from wherry.record import TYPE_CHECKING
from wherry.runtime import cgroups, state
from wherry.runtime.bundle import write_pid_file
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.command import Command, GlobalOptions, Warn
from wherry.runtime.exec import exec_process
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.foreground import hold_signals, wait_foreground
from wherry.runtime.options import Arguments, Option
from wherry.runtime.state import ContainerState, Status, process_start_time

if TYPE_CHECKING:
    from typing import Any

_PS = "/bin/ps"
_EXEC_FAILED = 255  # runc's status: "could not run" is told from "ran and ended with 1"


_EXEC_OPTIONS = (
    Option("console-socket", "AF_UNIX socket that gets the pty's master"),
    Option("cwd", "working directory in the container"),
    Option("env", "set environment variables", short="e", repeatable=True),
    Option("tty", "allocate a pseudo-TTY", short="t", flag=True),
    Option("user", "UID[:GID]", short="u"),
    Option("additional-gids", "additional gids", short="g", repeatable=True),
    Option("process", "path to the process.json", short="p"),
    Option("detach", "do not wait for the process", short="d", flag=True),
    Option("pid-file", "file to write the process id to"),
    Option("process-label", "SELinux label"),
    Option("apparmor", "AppArmor profile"),
    Option("no-new-privs", "set no_new_privs", flag=True),
    Option("cap", "add a capability", short="c", repeatable=True),
    Option("preserve-fds", "pass N additional descriptors"),
    Option("cgroup", "run in an existing sub-cgroup", repeatable=True),
    Option("ignore-paused", "allow exec in a paused container", flag=True),
)


def _exec(options: GlobalOptions, arguments: Arguments, warn: Warn) -> int:
    kept = state.load(options.root, arguments.text("container-id"))
    status = kept.status()
    if status == Status.STOPPED:
        raise Conflict("cannot exec in a stopped container")
    spec = kept.spec()
    process = _process(arguments, spec)
    if arguments.flag("detach") and process.get("terminal") and not arguments.optional("console-socket"):
        raise InvalidParameter("cannot allocate tty if runc will detach without setting console socket")
    if not arguments.flag("detach"):
        hold_signals()
    pidfd = pidfd_open(kept.pid)
    held = _cgroups(kept, arguments.words("cgroup"))
    try:
        if process_start_time(kept.pid) != kept.start_time:
            raise Conflict("cannot exec in a stopped container")
        executed = exec_process(
            process,
            spec=spec,
            pid=kept.pid,
            pidfd=pidfd,
            cgroups=held,
            console_socket=arguments.optional("console-socket"),
            container_id=kept.container_id,
            new_keyring=kept.new_keyring,
            preserve_fds=arguments.number("preserve-fds") + int(os.environ.get("LISTEN_FDS") or 0),
            ignore_paused=arguments.flag("ignore-paused"),
        )
    except RuntimeFailure as exc:
        raise RuntimeFailure(f"exec failed: unable to start container process: {exc.message}") from exc
    finally:
        os.close(pidfd)
        if held is not None:
            held.close()
    for warning in executed.warnings:
        warn(warning)
    if arguments.optional("pid-file"):
        write_pid_file(arguments.text("pid-file"), executed.pid)
    if arguments.flag("detach"):
        return 0
    return wait_foreground(executed.pid, executed.pidfd, executed.console_fd)


def _cgroups(kept: ContainerState, below: list[str]) -> Cgroups | None:
    held = kept.open_cgroups()
    if held is None or not below:
        return held
    held.close()
    paths = {entry.rpartition(":")[2].strip("/") for entry in below}
    if len(paths) != 1 or ".." in (path := paths.pop()).split("/"):
        raise InvalidParameter("--cgroup: one path below the container's cgroup is supported")
    return cgroups.attach(f"{held.path}/{path}", layout=held.layout)


def _process(arguments: Arguments, spec: dict[str, Any]) -> dict[str, Any]:
    """The process to run: a file's, or the container's own with the options laid over it."""
    path = arguments.optional("process")
    if path:
        with open(path, encoding="utf-8") as file:
            process = json.load(file)
        if not isinstance(process, dict):
            raise SpecInvalid(f"read {path}: not a JSON object")
        return process
    args = arguments.words("args")
    if not args:
        raise InvalidParameter("process args cannot be empty")
    process = {**spec["process"], "args": args, "terminal": arguments.flag("tty")}
    process["env"] = [*(process.get("env") or []), *arguments.words("env")]
    process.pop("consoleSize", None)
    if arguments.optional("cwd"):
        process["cwd"] = arguments.text("cwd")
    if arguments.optional("apparmor"):
        process["apparmorProfile"] = arguments.text("apparmor")
    if arguments.optional("process-label"):
        process["selinuxLabel"] = arguments.text("process-label")
    if arguments.flag("no-new-privs"):
        process["noNewPrivileges"] = True
    process["user"] = _user(arguments, process.get("user") or {})
    if arguments.words("cap"):
        added = arguments.words("cap")
        sets = dict(process.get("capabilities") or {})
        for kind in ("bounding", "effective", "permitted"):
            sets[kind] = sorted({*(sets.get(kind) or []), *added})
        process["capabilities"] = sets
    return process


def _user(arguments: Arguments, user: dict[str, Any]) -> dict[str, Any]:
    user = dict(user)
    if arguments.optional("user"):
        match = re.fullmatch(r"(\d+)(?::(\d+))?", arguments.text("user"))
        if match is None:
            raise InvalidParameter(f"parsing {arguments.text('user')} as int for uid: invalid syntax")
        user["uid"] = int(match[1])
        if match[2]:
            user["gid"] = int(match[2])
    if arguments.words("additional-gids"):
        user["additionalGids"] = [int(gid) for gid in arguments.words("additional-gids")]
    return user


def _ps(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    kept = state.load(options.root, arguments.text("container-id"))
    held = kept.open_cgroups()
    if held is None:
        raise RuntimeFailure("ps: the container has no cgroup")
    try:
        pids = held.pids()
    finally:
        held.close()
    if arguments.text("format") == "json":
        print(json.dumps(pids))
        return 0
    ps_options = arguments.words("ps-options") or ["-ef"]
    import subprocess  # start-up cost: only this command runs a program

    table = subprocess.run([_PS, *ps_options], check=True, capture_output=True, text=True).stdout.splitlines()
    column = table[0].split().index("PID")
    print(table[0])
    for line in table[1:]:
        fields = line.split()
        if len(fields) > column and fields[column].isdigit() and int(fields[column]) in pids:
            print(line)
    return 0


COMMANDS = {
    "exec": Command(_exec, _EXEC_OPTIONS, rest="args", failure_status=_EXEC_FAILED),
    "ps": Command(_ps, (Option("format", "table or json", short="f", default="table"),), rest="ps-options"),
}
