"""``create``, and the creation that ``run`` shares: pull what is missing, cidfile, warnings."""

from wherry.cli.app import App
from wherry.cli.command import Command, Invocation
from wherry.cli.container_config import container_config
from wherry.cli.container_options import CREATE_OPTIONS
from wherry.cli.errors import CommandFailed, describe
from wherry.cli.id_file import IdFile
from wherry.cli.options import Flags
from wherry.cli.platform_value import wanted_platform
from wherry.errors import NotFound, WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PULL_CHOICES = ("always", "missing", "never", "")


def with_help(message: str, path: str, code: int = 125) -> CommandFailed:
    """The form in which ``run`` reports every error, and ``create`` one in its options."""
    return CommandFailed(f"wherry: {message}\n\nRun 'wherry {path} --help' for more information", code=code)


def build_config(call: Invocation) -> "dict[str, Any]":
    """The create body of a command line. Raises CommandFailed (125) for bad combinations."""
    pull = call.flags.text("pull")
    name = call.path.rpartition(" ")[2]
    if pull not in _PULL_CHOICES:
        raise with_help(f'invalid pull option: \'{pull}\': must be one of "always", "missing" or "never"', name)
    try:
        return container_config(call.flags, call.args[0], call.args[1:])
    except ValueError as exc:
        raise with_help(str(exc), name) from None


def create_container(app: App, flags: Flags, config: "dict[str, Any]") -> str:
    """Create it, pulling the image if need be; gives the id. Raises the engine's errors."""
    try:
        id_file = IdFile(flags.text("cidfile"))
    except ValueError as exc:
        raise CommandFailed(str(exc), code=125) from None
    with id_file:
        created = _create(app, flags, config)
        container_id = str(created["Id"])
        id_file.write(container_id)
    for warning in created.get("Warnings") or []:
        app.err(f"WARNING: {warning}")
    return container_id


def _create(app: App, flags: Flags, config: "dict[str, Any]") -> "dict[str, Any]":
    image = config["Image"]
    platform = wanted_platform(flags)
    if flags.text("pull") == "always":
        _pull(app, flags, image, platform)
    name = flags.text("name")
    try:
        return app.containers.create(config, name=name, platform=platform)
    except WherryError as exc:
        from wherry.cli.reference import familiar, reference_error

        wrong = None if _is_id(image) else reference_error(image)
        if wrong:
            raise CommandFailed(wrong, code=125) from None
        if not isinstance(exc, NotFound) or flags.text("pull") not in ("missing", "") or _is_id(image):
            raise
        if not flags.flag("quiet"):
            app.err(f"Unable to find image '{familiar(image)}' locally")
        _pull(app, flags, image, platform)
        return app.containers.create(config, name=name, platform=platform)


def _is_id(image: str) -> bool:
    """Whether it can only be an id, which no registry knows."""
    return image.startswith("sha256:") or (len(image) == 64 and set(image) <= set("0123456789abcdef"))


def _pull(app: App, flags: Flags, image: str, platform: str) -> None:
    from wherry.cli.pull import pull_image

    # Only the container's own output, or its id, may be on stdout.
    pull_image(app, image, platform=platform, quiet=flags.flag("quiet"), output=2)


def _run(call: Invocation) -> int:
    config = build_config(call)
    try:
        call.app.out(create_container(call.app, call.flags, config))
    except WherryError as exc:
        raise CommandFailed(describe(exc)) from exc  # code 1 and no pointer to the help, unlike run
    return 0


CREATE = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    _run,
    options=CREATE_OPTIONS,
    least=1,
    aliases=("container create", "create"),
    interspersed=False,
)
