"""Start this user's engine on demand: the one thing a client does on the machine itself."""


def wake_engine() -> None:
    """Start the engine of this user's data root and return once it listens."""
    # Start-up cost: the launcher is needed only when nothing listens.
    from wherry import settings
    from wherry.engine import launcher

    launcher.ensure_running(settings.load())
