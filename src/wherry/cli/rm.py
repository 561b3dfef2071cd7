"""``rm``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.many import for_each
from wherry.cli.options import Option
from wherry.errors import NotFound


def _run(call: Invocation) -> int:
    flags, app = call.flags, call.app
    force = flags.flag("force")

    def remove(ref: str) -> None:
        ref = ref.strip("/")
        try:
            app.containers.remove(ref, force=force, volumes=flags.flag("volumes"), link=flags.flag("link"))
        except NotFound as exc:
            if not force:
                raise
            # ``rm -f`` of what is not there is a success; Docker says so on stderr.
            app.err(f"Error response from daemon: {exc.message}")
        else:
            app.out(ref)

    return for_each(app, call.args, remove, echo=False)


RM = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    _run,
    options=(
        Option("force", "f", "bool", "Force the removal of a running container (uses SIGKILL)"),
        Option("link", "l", "bool", "Remove the specified link"),
        Option("volumes", "v", "bool", "Remove anonymous volumes associated with the container"),
    ),
    least=1,
    aliases=("container rm", "container remove", "rm"),
)
