"""One verb on many targets: try all, report all (stdout: what worked, stderr: what did not)."""

from wherry.cli.app import App
from wherry.cli.errors import CommandFailed, describe
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


_AT_ONCE = 50


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


def for_each_at_once(app: App, targets: list[str], act: "Callable[[str], object]") -> int:
    """The same for verbs that take their time: 50 targets at a time, the report in order."""
    if len(targets) < 2:
        return for_each(app, targets, act)
    import threading  # start-up cost

    outcomes: dict[int, BaseException] = {}

    def attempt(number: int) -> None:
        try:
            act(targets[number])
        except BaseException as exc:
            outcomes[number] = exc  # raised below, by who reports

    for first in range(0, len(targets), _AT_ONCE):
        wave = range(first, min(first + _AT_ONCE, len(targets)))
        threads = [threading.Thread(target=attempt, args=(number,), daemon=True) for number in wave]
        for thread in threads:
            thread.start()
        for number, thread in zip(wave, threads, strict=True):
            thread.join()
            if number not in outcomes:
                app.out(targets[number])
    failures = []
    for _, exc in sorted(outcomes.items()):
        if not isinstance(exc, WherryError):
            raise exc
        failures.append(describe(exc))
    if failures:
        raise CommandFailed("\n".join(failures))
    return 0
