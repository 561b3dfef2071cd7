"""What a shell may offer next for a command line: commands, options, and the names of live objects.

Each shell's script (``completion.py``) calls ``wherry __complete`` (``complete_shell.py``). Nothing here starts an
engine, and what goes wrong is silence: a completion has nowhere to complain.
"""

from wherry.cli import registry
from wherry.cli.app import App
from wherry.cli.complete_tables import (
    ALL,
    ARGUMENTS,
    FILE_OPTIONS,
    PAUSED,
    RUNNING,
    SHELLS,
    STOPPED,
    VALUES,
)
from wherry.cli.main import GLOBAL_OPTIONS, app_of, load
from wherry.cli.options import Flags, Option
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Candidate = tuple[str, str]

# Said instead of candidates: the shell completes file names.
FILES = "@files"


def complete(words: "Sequence[str]") -> "list[Candidate]":
    """Candidates (text, description) for the last of ``words``, which follow the program's name; ``(FILES, "")``
    alone for file names."""
    current = words[-1] if words else ""
    try:
        found = _candidates(list(words[:-1]), current)
    except WherryError:
        return []
    if found == [(FILES, "")]:
        return found
    return [candidate for candidate in found if candidate[0].startswith(current)]


def _candidates(before: "list[str]", current: str) -> "list[Candidate]":
    flags, rest, pending = _take(GLOBAL_OPTIONS, before, interspersed=False)
    app = app_of(flags)
    app.wakes = False
    if not rest:
        return _options_or(GLOBAL_OPTIONS, current, pending, app, _commands)
    name = rest.pop(0)
    entry = registry.ROOT.get(name)
    if name in registry.GROUPS:
        table = registry.GROUPS[name][0]
        if not rest:
            return [] if current.startswith("-") else [(key, row[2]) for key, row in table.items()]
        word = rest.pop(0)
        entry = table.get(registry.SYNONYMS.get((name, word), word))
    if entry is None:
        return []
    command = load(entry)
    _, arguments, pending = _take(command.options, rest, interspersed=command.interspersed)
    kinds = ARGUMENTS.get((entry[0], entry[1]), (None,))
    if arguments and not command.interspersed:
        current_options: Sequence[Option] = ()
    else:
        current_options = command.options

    def positional() -> "list[Candidate]":
        kind = kinds[min(len(arguments), len(kinds) - 1)]
        if kind is None:
            return []
        taken = frozenset(arguments)
        return [candidate for candidate in _names(app, kind, current) if candidate[0] not in taken]

    return _options_or(current_options, current, pending, app, positional)


def _take(
    options: "Sequence[Option]", words: "Sequence[str]", *, interspersed: bool
) -> "tuple[Flags, list[str], Option | None]":
    """The flags, the arguments, and the option whose value comes next. Forgiving: what is unknown takes no value."""
    by_name = {option.name: option for option in options}
    by_short = {option.short: option for option in options if option.short}
    flags, arguments = Flags(options), []
    pending: Option | None = None
    for position, word in enumerate(words):
        if pending is not None:
            _record(flags, pending, word)
            pending = None
        elif word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            option = by_name.get(name)
            if option is not None and (equals or option.kind == "bool"):
                _record(flags, option, value or "true")
            else:
                pending = option
        elif word.startswith("-") and len(word) > 1 and word != "--":
            option = by_short.get(word[-1])
            pending = option if option is not None and option.kind != "bool" else None
        else:
            arguments.append(word)
            if not interspersed:
                arguments += words[position + 1 :]
                break
    return flags, arguments, pending


def _record(flags: Flags, option: Option, text: str) -> None:
    if option.kind in ("string", "list"):
        flags.record(option, text)
    elif option.kind == "bool":
        flags.record(option, text == "true")


def _options_or(
    options: "Sequence[Option]",
    current: str,
    pending: Option | None,
    app: App,
    otherwise: "Callable[[], list[Candidate]]",
) -> "list[Candidate]":
    if pending is not None:
        return _values(app, pending.name, current)
    if current.startswith("--") and "=" in current:
        head, _, value = current.partition("=")
        found = _values(app, head[2:], value)
        return found if found == [(FILES, "")] else [(f"{head}={text}", about) for text, about in found]
    if current.startswith("-"):
        shown = [option for option in options if not option.hidden]
        names = [(f"--{option.name}", option.help) for option in shown] + [("--help", "Show the help")]
        if not current.startswith("--"):
            names += [(f"-{option.short}", option.help) for option in shown if option.short]
        return sorted(names)
    return otherwise()


def _values(app: App, option: str, current: str) -> "list[Candidate]":
    values = VALUES.get(option)
    if values is None:
        return [(FILES, "")] if option in FILE_OPTIONS else []
    if isinstance(values, str):
        return _names(app, values, current)
    head, colon, _ = current.partition(":")
    if colon and f"{head}:" in values:
        return [(f"{head}:{name}", about) for name, about in _names(app, RUNNING, current)]
    return [(value, "") for value in values]


def _commands() -> "list[Candidate]":
    groups = [(name, short) for name, (_, short) in registry.GROUPS.items()]
    return groups + [(name, entry[2]) for name, entry in sorted(registry.ROOT.items())]


def _names(app: App, kind: str, current: str) -> "list[Candidate]":
    if kind == "files":
        return [(FILES, "")]
    if kind == "shells":
        return [(name, "") for name in SHELLS]
    if kind == "actions":
        return [("install", ""), ("uninstall", "")]
    if kind == "contexts":
        from wherry.client import context_store

        return [("default", ""), *((name, "") for name in context_store.names())]
    if kind == "copied" and (current[:1] in ("/", ".", "~") or ":" in current):
        return [(FILES, "")]
    if kind == "images":
        return _images(app)
    if kind == "networks":
        return [(str(network["Name"]), str(network["Driver"])) for network in app.networks.list()]
    if kind == "volumes":
        return [(str(volume["Name"]), "volume") for volume in app.volumes.list().get("Volumes") or ()]
    if kind == "anything":
        return _containers(app, ALL) + _images(app)
    if kind == "copied":
        return [(f"{name}:", about) for name, about in _containers(app, ALL)]
    return _containers(app, kind)


def _containers(app: App, kind: str) -> "list[Candidate]":
    states = {RUNNING: ("running", "paused"), PAUSED: ("paused",), STOPPED: ("created", "exited", "dead")}.get(kind)
    return [
        (str(container["Names"][0]).lstrip("/"), f"{container['Image']}, {container['Status']}")
        for container in app.containers.list(all=True)
        if states is None or container["State"] in states
    ]


def _images(app: App) -> "list[Candidate]":
    found = []
    for image in app.images.list():
        for tag in image.get("RepoTags") or ():
            if tag != "<none>:<none>":
                # As it would be typed: `busybox` is `busybox:latest`.
                found.append((tag.removesuffix(":latest"), image["Id"].removeprefix("sha256:")[:12]))
    return sorted(found)
