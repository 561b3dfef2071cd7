"""Start a created container: tell its init to execve."""

from wherry.runtime.create import Created


def start_container(created: Created) -> None:
    """Let the init execve and return once the user's program runs. Raises StartFailed (exit_code 126 or 127)."""
    raise NotImplementedError
