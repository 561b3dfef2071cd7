"""``context``: named engines in Docker's own store, so that docker and wherry see the same ones."""

import os

from wherry import roots
from wherry.cli.command import Command, Invocation
from wherry.cli.many import for_each
from wherry.cli.options import Option
from wherry.cli.output import FORMAT_HELP, INSPECT_FORMAT_HELP, print_rows
from wherry.client import context_store, contexts
from wherry.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration"
_HEADERS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "DockerEndpoint": "DOCKER ENDPOINT",
    "Error": "ERROR",
    "Current": "CURRENT",
}
_DESCRIPTION = Option("description", "", "string", "Description of the context")
_DOCKER = Option("docker", "", "list", "set the docker endpoint", metavar="stringToString")
_ENDPOINT_HELP = """

Docker endpoint config:

NAME                DESCRIPTION
from                Copy named context's Docker endpoint configuration
host                Docker endpoint on which to connect
ca                  Trust certs signed only by this CA
cert                Path to TLS certificate file
key                 Path to TLS key file
skip-tls-verify     Skip TLS certificate validation
"""


def _environment_host() -> tuple[str, str]:
    """The variable that names a host, and the host."""
    for name in ("WHERRY_HOST", "DOCKER_HOST"):
        if os.environ.get(name):
            return name, os.environ[name]
    return "", ""


def _own_host() -> str:
    return _environment_host()[1] or f"unix://{roots.api_socket(roots.run_root())}"


def _current(call: Invocation) -> str:
    if call.app.context:
        return call.app.context
    if call.app.host or _environment_host()[0]:
        return contexts.DEFAULT
    return contexts.selected(os.environ)


def _endpoint(call: Invocation) -> dict[str, str] | None:
    if not call.flags.changed("docker"):
        return None
    found = {}
    for text in call.flags.many("docker"):
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if not equals:
                raise InvalidParameter(
                    f'invalid argument "{text}" for "--docker" flag: {part} must be formatted as key=value'
                )
            found[name] = value
    return found


def _metadata(name: str) -> "dict[str, Any]":
    if name == contexts.DEFAULT:
        return {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": _own_host(), "SkipTLSVerify": False}}}
    return contexts.read_metadata(name, os.environ)


def _list(call: Invocation) -> int:
    current = _current(call)
    rows = []
    for name in sorted({contexts.DEFAULT, current, *context_store.names()}):
        row = {"Name": name, "Description": "", "DockerEndpoint": "", "Error": "", "Current": name == current}
        try:
            document = _metadata(name)
        except contexts.ContextNotFound as exc:
            row["Error"] = exc.message
        else:
            row["Description"] = (document.get("Metadata") or {}).get("Description") or ""
            row["DockerEndpoint"] = contexts.endpoint_of(document).get("Host") or ""
        if name == contexts.DEFAULT:
            row["Description"] = _DEFAULT_DESCRIPTION
        rows.append(row)
    form = call.flags.text("format")
    if call.flags.flag("quiet") and not form:
        for row in rows:
            call.app.out(str(row["Name"]))
        return 0
    if form in ("", "table"):
        rows = [{**row, "Name": f"{row['Name']} *" if row["Current"] else row["Name"]} for row in rows]
    columns = ("Name", "Description", "DockerEndpoint", "Error")
    print_rows(call.app, rows, columns, _HEADERS, form, "*formatter.clientContextContext")
    _warn(call, "a context")
    return 0


def _warn(call: Invocation, what: str) -> None:
    variable, _ = _environment_host()
    if variable:
        call.app.err(
            f"Warning: {variable} environment variable overrides the active context. To use {what}, either set the "
            f"global --context flag, or unset {variable} environment variable."
        )


def _create(call: Invocation) -> int:
    name = call.args[0]
    context_store.create(name, call.flags.text("description"), _endpoint(call), call.flags.text("from"), _own_host())
    call.app.out(name)
    call.app.err(f'Successfully created context "{name}"')
    return 0


def _update(call: Invocation) -> int:
    name = call.args[0]
    description = call.flags.text("description") if call.flags.changed("description") else None
    context_store.update(name, description, _endpoint(call), _own_host())
    call.app.out(name)
    call.app.err(f'Successfully updated context "{name}"')
    return 0


def _use(call: Invocation) -> int:
    name = call.args[0]
    context_store.use(name)
    call.app.out(name)
    call.app.err(f'Current context is now "{name}"')
    if name != contexts.DEFAULT:
        _warn(call, f'"{name}"')
    return 0


def _show(call: Invocation) -> int:
    call.app.out(_current(call))
    return 0


def _remove(call: Invocation) -> int:
    return for_each(call.app, call.args, lambda name: context_store.remove(name, force=call.flags.flag("force")))


def _inspect(call: Invocation) -> int:
    from wherry.cli.inspect import print_inspected

    return print_inspected(call.app, call.args or [_current(call)], _describe, call.flags.text("format"))


def _describe(name: str) -> "dict[str, Any]":
    document = _metadata(name)
    files = [] if name == contexts.DEFAULT else context_store.tls_names(name)
    meta, tls = ("<IN MEMORY>", "<IN MEMORY>") if name == contexts.DEFAULT else contexts.folders(name, os.environ)
    return {
        "Name": name,
        "Metadata": document.get("Metadata") or {},
        "Endpoints": document.get("Endpoints") or {},
        "TLSMaterial": {"docker": files} if files else {},
        "Storage": {"MetadataPath": meta, "TLSPath": tls},
    }


LIST = Command(
    "[OPTIONS]",
    "List contexts",
    _list,
    options=(
        Option("format", "", "string", FORMAT_HELP),
        Option("quiet", "q", "bool", "Only show context names"),
    ),
    most=0,
    aliases=("context ls", "context list"),
)
CREATE = Command(
    "[OPTIONS] CONTEXT",
    "Create a context",
    _create,
    options=(_DESCRIPTION, _DOCKER, Option("from", "", "string", "create context from a named context")),
    least=1,
    most=1,
    long="Create a context" + _ENDPOINT_HELP,
)
UPDATE = Command(
    "[OPTIONS] CONTEXT",
    "Update a context",
    _update,
    options=(_DESCRIPTION, _DOCKER),
    least=1,
    most=1,
    long="Update a context" + _ENDPOINT_HELP,
)
USE = Command("CONTEXT", "Set the current context", _use, least=1, most=1)
SHOW = Command("", "Print the name of the current context", _show, most=0)
REMOVE = Command(
    "CONTEXT [CONTEXT...]",
    "Remove one or more contexts",
    _remove,
    options=(Option("force", "f", "bool", "Force the removal of a context in use"),),
    least=1,
    aliases=("context rm", "context remove"),
)
INSPECT = Command(
    "[OPTIONS] [CONTEXT] [CONTEXT...]",
    "Display detailed information on one or more contexts",
    _inspect,
    options=(Option("format", "f", "string", INSPECT_FORMAT_HELP),),
)
