"""exec and ps."""

import argparse
import json
import os
import re
from collections.abc import Callable
from typing import Any

from wherry.errors import Conflict, InvalidParameter
from wherry.linux.pidfd import pidfd_open
from wherry.runtime import cgroups, state
from wherry.runtime.bundle import write_pid_file
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.command import Arguments, Command, GlobalOptions, add_container_id
from wherry.runtime.exec import exec_process
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.foreground import hold_signals, wait_foreground
from wherry.runtime.state import ContainerState, Status, process_start_time

_PS = "/bin/ps"
_EXEC_FAILED = 255  # runc's status: "could not run" is told from "ran and ended with 1"


def _exec_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--console-socket", help="AF_UNIX socket that gets the pty's master")
    parser.add_argument("--cwd", help="working directory in the container")
    parser.add_argument("--env", "-e", action="append", help="set environment variables")
    parser.add_argument("--tty", "-t", action="store_true", help="allocate a pseudo-TTY")
    parser.add_argument("--user", "-u", help="UID[:GID]")
    parser.add_argument("--additional-gids", "-g", action="append", type=int, help="additional gids")
    parser.add_argument("--process", "-p", help="path to the process.json")
    parser.add_argument("--detach", "-d", action="store_true", help="do not wait for the process")
    parser.add_argument("--pid-file", help="file to write the process id to")
    parser.add_argument("--process-label", help="SELinux label")
    parser.add_argument("--apparmor", help="AppArmor profile")
    parser.add_argument("--no-new-privs", action="store_true", help="set no_new_privs")
    parser.add_argument("--cap", "-c", action="append", help="add a capability")
    parser.add_argument("--preserve-fds", type=int, default=0, help="pass N additional descriptors")
    parser.add_argument("--cgroup", action="append", help="run in an existing sub-cgroup")
    parser.add_argument("--ignore-paused", action="store_true", help="allow exec in a paused container")
    add_container_id(parser)
    parser.add_argument("args", nargs=argparse.REMAINDER)


def _exec(options: GlobalOptions, arguments: Arguments, warn: Callable[[str], None]) -> int:
    kept = state.load(options.root, arguments.text("container_id"))
    status = kept.status()
    if status is Status.STOPPED:
        raise Conflict("cannot exec in a stopped container")
    spec = kept.spec()
    process = _process(arguments, spec)
    if arguments.flag("detach") and process.get("terminal") and not arguments.optional("console_socket"):
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
            console_socket=arguments.optional("console_socket"),
            container_id=kept.container_id,
            new_keyring=kept.new_keyring,
            preserve_fds=arguments.number("preserve_fds") + int(os.environ.get("LISTEN_FDS") or 0),
            ignore_paused=arguments.flag("ignore_paused"),
        )
    except RuntimeFailure as exc:
        raise RuntimeFailure(f"exec failed: unable to start container process: {exc.message}") from exc
    finally:
        os.close(pidfd)
        if held is not None:
            held.close()
    for warning in executed.warnings:
        warn(warning)
    if arguments.optional("pid_file"):
        write_pid_file(arguments.text("pid_file"), executed.pid)
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
    if args[:1] == ["--"]:
        args = args[1:]
    if not args:
        raise InvalidParameter("process args cannot be empty")
    process = {**spec["process"], "args": args, "terminal": arguments.flag("tty")}
    process["env"] = [*(process.get("env") or []), *arguments.words("env")]
    process.pop("consoleSize", None)
    if arguments.optional("cwd"):
        process["cwd"] = arguments.text("cwd")
    if arguments.optional("apparmor"):
        process["apparmorProfile"] = arguments.text("apparmor")
    if arguments.optional("process_label"):
        process["selinuxLabel"] = arguments.text("process_label")
    if arguments.flag("no_new_privs"):
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
    if arguments.words("additional_gids"):
        user["additionalGids"] = [int(gid) for gid in arguments.words("additional_gids")]
    return user


def _ps_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", "-f", default="table", choices=("table", "json"))
    add_container_id(parser)
    parser.add_argument("ps_options", nargs=argparse.REMAINDER)


def _ps(options: GlobalOptions, arguments: Arguments, _warn: Callable[[str], None]) -> int:
    kept = state.load(options.root, arguments.text("container_id"))
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
    ps_options = arguments.words("ps_options") or ["-ef"]
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
    "exec": Command("execute new process inside the container", _exec_arguments, _exec, _EXEC_FAILED),
    "ps": Command("displays the processes running inside a container", _ps_arguments, _ps),
}
