"""``inspect`` and the groups' own ``inspect`` commands."""

import json

from wherry.cli.app import App
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed, describe
from wherry.cli.options import Option
from wherry.cli.output import INSPECT_FORMAT_HELP
from wherry.errors import NotFound, WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Find = Callable[[str], dict[str, Any]]

_FORMAT = Option("format", "f", "string", INSPECT_FORMAT_HELP)


def print_inspected(app: App, refs: list[str], find: "Find", form: str) -> int:
    """Look every reference up, print what was found, then report what was not."""
    template = None if form == "json" else template_of(form, typed=True)
    found: list[dict[str, Any]] = []
    failures: list[str] = []
    for ref in refs:
        try:
            found.append(find(ref))
        except WherryError as exc:
            failures.append(describe(exc))
    if template is not None:
        for document in found:
            try:
                app.out(template(document))
            except CommandFailed as exc:
                app.out("")
                failures.append(f"template parsing error: {exc.message}")
                break
        if not found:
            app.out("")
    elif form == "json":
        app.out(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
    else:
        app.out(json.dumps(found, indent=4, ensure_ascii=False) if found else "[]")
    if failures:
        raise CommandFailed("\n".join(failures))
    return 0


def template_of(form: str, type_name: str = "", *, typed: bool = False) -> "Callable[[Any], str] | None":
    """The renderer of a ``--format``, None without one.

    ``type_name`` is Go's, for the complaint about an unknown member; without one the members are a map's.
    """
    if not form:
        return None
    if form == "json":
        form = "{{json .}}"
    from wherry.cli.template import Template, strict_map, strict_type

    try:
        return Template(form, strict_type(type_name) if type_name else strict_map, typed=typed).render
    except CommandFailed as exc:
        raise CommandFailed(f"template parsing error: {exc.message}", code=64) from None


def _inspect(call: Invocation) -> int:
    kind = call.flags.text("type")
    finders = _finders(call.app, size=call.flags.flag("size"))
    if kind and kind not in finders:
        raise CommandFailed(
            f'unknown type: "{kind}": must be one of ' + ", ".join(f'"{name}"' for name in sorted(finders))
        )
    if kind:
        return print_inspected(call.app, call.args, finders[kind], call.flags.text("format"))

    def find(ref: str) -> "dict[str, Any]":
        for name, finder in finders.items():
            try:
                found = finder(ref)
            except NotFound:
                continue  # not of this kind
            if call.flags.flag("size") and name != "container":
                call.app.err(f"WARNING: --size ignored for {name}")
            return found
        raise CommandFailed(f"Error: No such object: {ref}")

    return print_inspected(call.app, call.args, find, call.flags.text("format"))


def _finders(app: App, *, size: bool) -> "dict[str, Find]":
    """In Docker's order: the first kind that knows the name wins."""
    return {
        "container": lambda ref: app.containers.inspect(ref, size=size),
        "image": app.images.inspect,
        "network": app.networks.inspect,
        "volume": app.volumes.inspect,
    }


def _container(call: Invocation) -> int:
    size = call.flags.flag("size")
    return print_inspected(
        call.app, call.args, lambda ref: call.app.containers.inspect(ref, size=size), call.flags.text("format")
    )


def _image(call: Invocation) -> int:
    return print_inspected(call.app, call.args, call.app.images.inspect, call.flags.text("format"))


def _network(call: Invocation) -> int:
    verbose = call.flags.flag("verbose")
    return print_inspected(
        call.app, call.args, lambda ref: call.app.networks.inspect(ref, verbose=verbose), call.flags.text("format")
    )


def _volume(call: Invocation) -> int:
    return print_inspected(call.app, call.args, call.app.volumes.inspect, call.flags.text("format"))


INSPECT = Command(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on Docker objects",
    _inspect,
    options=(
        _FORMAT,
        Option("size", "s", "bool", "Display total file sizes if the type is container"),
        Option("type", "", "string", "Only inspect objects of the given type"),
    ),
    least=1,
)
CONTAINER_INSPECT = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    _container,
    options=(_FORMAT, Option("size", "s", "bool", "Display total file sizes")),
    least=1,
)
IMAGE_INSPECT = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    _image,
    options=(_FORMAT,),
    least=1,
)
NETWORK_INSPECT = Command(
    "[OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    _network,
    options=(_FORMAT, Option("verbose", "v", "bool", "Verbose output for diagnostics")),
    least=1,
)
VOLUME_INSPECT = Command(
    "[OPTIONS] VOLUME [VOLUME...]",
    "Display detailed information on one or more volumes",
    _volume,
    options=(_FORMAT,),
    least=1,
)
