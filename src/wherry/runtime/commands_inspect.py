"""state, list, spec, features; checkpoint and restore are refused."""

import argparse
import json
import os
from collections.abc import Callable

from wherry.errors import Conflict, Unimplemented
from wherry.runtime import state
from wherry.runtime.command import Arguments, Command, GlobalOptions, add_container_id
from wherry.runtime.default_spec import default_spec, rootless_spec
from wherry.runtime.features import features
from wherry.runtime.state import ContainerState, Status

Warn = Callable[[str], None]


def describe(kept: ContainerState) -> dict[str, object]:
    """The object that ``state`` and ``list --format json`` print (the specification's, with runc's additions)."""
    status = kept.status()
    return {
        "ociVersion": kept.oci_version,
        "id": kept.container_id,
        "pid": 0 if status is Status.STOPPED else kept.pid,
        "status": str(status),
        "bundle": kept.bundle,
        "rootfs": kept.rootfs,
        "created": kept.created,
        **({"annotations": kept.annotations} if kept.annotations else {}),
        "owner": "",
    }


def _state(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    print(json.dumps(describe(state.load(options.root, arguments.text("container_id"))), indent=2))
    return 0


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", "-f", default="table", choices=("table", "json"))
    parser.add_argument("--quiet", "-q", action="store_true", help="display only container IDs")


def _list(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    found = state.load_all(options.root)
    if arguments.flag("quiet"):
        for kept in found:
            print(kept.container_id)
    elif arguments.text("format") == "json":
        print(json.dumps([describe(kept) for kept in found] or None))
    else:
        rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
        for kept in found:
            item = describe(kept)
            rows.append((kept.container_id, str(item["pid"]), str(item["status"]), kept.bundle, kept.created, "root"))
        widths = [max(12, *(len(row[column]) + 3 for row in rows)) for column in range(5)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
            print("".join(cells).rstrip())
    return 0


def _spec_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", "-b", default="", help="root of the bundle directory")
    parser.add_argument("--rootless", action="store_true", help="a configuration for a rootless container")


def _spec(_options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    path = os.path.join(arguments.text("bundle"), "config.json")
    spec = rootless_spec(os.geteuid(), os.getegid()) if arguments.flag("rootless") else default_spec()
    try:
        with open(path, "x", encoding="utf-8") as file:
            json.dump(spec, file, indent="\t")
            file.write("\n")
    except FileExistsError:
        raise Conflict(f"File {path} exists. Remove it first") from None
    return 0


def _no_arguments(_parser: argparse.ArgumentParser) -> None:
    pass


def _features(_options: GlobalOptions, _arguments: Arguments, _warn: Warn) -> int:
    print(json.dumps(features(), indent=4))
    return 0


def _any_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rest", nargs=argparse.REMAINDER)


def _refuse(_options: GlobalOptions, _arguments: Arguments, _warn: Warn) -> int:
    raise Unimplemented("checkpoint and restore are not supported by this runtime")


COMMANDS = {
    "state": Command("output the state of a container", add_container_id, _state),
    "list": Command("lists containers with the given root", _list_arguments, _list),
    "spec": Command("create a new specification file", _spec_arguments, _spec),
    "features": Command("show the enabled features", _no_arguments, _features),
    "checkpoint": Command("not supported", _any_arguments, _refuse),
    "restore": Command("not supported", _any_arguments, _refuse),
}
