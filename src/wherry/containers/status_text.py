"""The STATUS column: ``Up 3 seconds (healthy)``, ``Exited (0) 2 minutes ago`` (moby ``state.String``, go-units)."""

from wherry.containers.container import Container, Status

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def status_text(container: Container, now_ns: int) -> str:
    """What ``docker ps`` shows."""
    state = container.state
    if container.running:
        duration = human_duration(now_ns - state.started_at_ns)
        if state.status is Status.RESTARTING:
            since = human_duration(now_ns - state.finished_at_ns)
            return f"Restarting ({state.exit_code}) {since} ago"
        text = f"Up {duration}"
        if state.status is Status.PAUSED:
            return f"{text} (Paused)"
        health = (container.health or {}).get("Status", "")
        if health == "starting":
            return f"{text} (health: starting)"
        return f"{text} ({health})" if health and health != "none" else text
    if state.status is Status.REMOVING:
        return "Removal In Progress"
    if state.status is Status.DEAD:
        return "Dead"
    if not state.started_at_ns:
        return "Created"
    if not state.finished_at_ns:
        return ""
    return f"Exited ({state.exit_code}) {human_duration(now_ns - state.finished_at_ns)} ago"


def human_duration(nanoseconds: int) -> str:
    """go-units ``HumanDuration``."""
    seconds = max(nanoseconds, 0) // _SECOND
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    minutes = nanoseconds // _MINUTE
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = (2 * nanoseconds + _HOUR) // (2 * _HOUR)  # rounded
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{nanoseconds // _HOUR // 24 // 365} years"
