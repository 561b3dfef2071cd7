"""When to start a container again: Docker's policies and back-off (moby ``restartmanager``).

100 ms, doubled at every restart up to one minute; a run of ten seconds or more begins again at 100 ms.
"""

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 60.0
LONG_RUN_SECONDS = 10.0

POLICIES = ("no", "always", "unless-stopped", "on-failure")


class RestartPolicy:
    """``policy`` is one of :data:`POLICIES` ("" is no); ``max_retries`` 0 is no limit (on-failure only)."""

    def __init__(self, policy: str, max_retries: int = 0) -> None:
        self.change(policy, max_retries)
        self.count = 0
        self.cancelled = False
        self._delay = 0.0

    def change(self, policy: str, max_retries: int = 0) -> None:
        """Another policy from the next exit on. Raises ValueError for an unknown one."""
        if policy not in ("", *POLICIES):
            raise ValueError(f"invalid restart policy '{policy}'")
        self._policy = policy
        self._max_retries = max_retries

    def cancel(self) -> None:
        """A person stopped the container: never restart."""
        self.cancelled = True

    def after_exit(self, exit_code: int, ran_seconds: float) -> float | None:
        """The delay before the next start, or None when the container stays down. Counts the restart."""
        if self.cancelled or not self._wanted(exit_code):
            return None
        if ran_seconds >= LONG_RUN_SECONDS:
            self._delay = 0.0
        self._delay = min(self._delay * 2, LONGEST_DELAY_SECONDS) if self._delay else FIRST_DELAY_SECONDS
        self.count += 1
        return self._delay

    def _wanted(self, exit_code: int) -> bool:
        if self._policy == "on-failure":
            return exit_code != 0 and (self._max_retries == 0 or self.count < self._max_retries)
        return self._policy in ("always", "unless-stopped")
