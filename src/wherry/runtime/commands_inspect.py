"""state, list, spec, features; checkpoint and restore are refused."""

from __future__ import annotations

import json
import os

from wherry.errors import Conflict, Unimplemented
from wherry.runtime import state
from wherry.runtime.command import Command, GlobalOptions, Warn
from wherry.runtime.default_spec import default_spec, rootless_spec
from wherry.runtime.features import features
from wherry.runtime.options import Arguments, Option
from wherry.runtime.state import ContainerState, Status


def describe(kept: ContainerState) -> dict[str, object]:
    """The object that ``state`` and ``list --format json`` print (the specification's, with runc's additions)."""
    status = kept.status()
    return {
        "ociVersion": kept.oci_version,
        "id": kept.container_id,
        "pid": 0 if status == Status.STOPPED else kept.pid,
        "status": str(status),
        "bundle": kept.bundle,
        "rootfs": kept.rootfs,
        "created": kept.created,
        **({"annotations": kept.annotations} if kept.annotations else {}),
        "owner": "",
    }


def _state(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    print(json.dumps(describe(state.load(options.root, arguments.text("container-id"))), indent=2))
    return 0


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


def _features(_options: GlobalOptions, _arguments: Arguments, _warn: Warn) -> int:
    print(json.dumps(features(), indent=4))
    return 0


def _refuse(_options: GlobalOptions, _arguments: Arguments, _warn: Warn) -> int:
    raise Unimplemented("checkpoint and restore are not supported by this runtime")


_BUNDLE = Option("bundle", "root of the bundle directory", short="b")

COMMANDS = {
    "state": Command(_state),
    "list": Command(
        _list,
        (
            Option("format", "table or json", short="f", default="table"),
            Option("quiet", "display only container IDs", short="q", flag=True),
        ),
        (),
    ),
    "spec": Command(_spec, (_BUNDLE, Option("rootless", "a configuration for a rootless container", flag=True)), ()),
    "features": Command(_features, (), ()),
    "checkpoint": Command(_refuse, (), (), "rest"),
    "restore": Command(_refuse, (), (), "rest"),
}
