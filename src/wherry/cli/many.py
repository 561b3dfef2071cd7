"""One verb on many targets: try all, report all (stdout: what worked, stderr: what did not)."""

from wherry.cli.app import App
from wherry.cli.errors import CommandFailed, describe
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def for_each(app: App, targets: list[str], act: "Callable[[str], object]", *, echo: bool = True) -> int:
    """Call ``act`` for every target, printing the target when it worked. 1 if any did not."""
    failures: list[str] = []
    for target in targets:
        try:
            act(target)
        except WherryError as exc:
            failures.append(describe(exc))
        else:
            if echo:
                app.out(target)
    if failures:
        raise CommandFailed("\n".join(failures))
    return 0
