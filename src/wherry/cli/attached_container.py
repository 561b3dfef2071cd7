"""A container that we are attached to: its stream, its exit, our signals and our terminal, as one context manager."""

from wherry.cli.app import App
from wherry.cli.attachment import resize_container, send_signal
from wherry.cli.detach_keys import parse_keys
from wherry.cli.exit_watch import ExitWatch
from wherry.cli.session import Session
from wherry.cli.signal_relay import SignalRelay
from wherry.cli.terminal import RawMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from wherry.client.connection import Connection


class AttachedContainer:
    """Entering it attaches and begins to watch for the exit; the container may not have started yet.

    ``removed``: the exit counts once the container is gone. ``running``: it has started already.
    """

    def __init__(
        self,
        app: App,
        container_id: str,
        *,
        tty: bool,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
        sig_proxy: bool,
        detach_keys: str,
        removed: bool = False,
        running: bool = False,
    ) -> None:
        self._app = app
        self._id = container_id
        self._tty = tty
        self._stdin = stdin
        self._streams = (stdout, stderr)
        self._detach_keys = detach_keys
        self._typed_keys = parse_keys(detach_keys) if tty and stdin else b""
        self._conditions = (removed, running)
        self._relay = SignalRelay(forward=self._forward if sig_proxy else None, resize=self._resize if tty else None)
        self._stream: Connection | None = None
        self._watch: ExitWatch | None = None

    def __enter__(self) -> "AttachedContainer":
        self._relay.__enter__()
        try:
            # Both requests are sent before either answer is read: they cross on the way.
            attach = self._app.containers.begin_attach(
                self._id,
                stdin=self._stdin,
                stdout=self._streams[0],
                stderr=self._streams[1],
                detach_keys=self._detach_keys,
            )
            removed, running = self._conditions
            self._watch = ExitWatch(self._app, self._id, removed=removed, running=running)
            self._stream = attach.answer().detach()
            self._watch.ready()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self._close()

    def _close(self) -> None:
        self.close_stream()
        if self._watch is not None:
            self._watch.close()
        self._relay.__exit__(None, None, None)

    def close_stream(self) -> None:
        """Stop listening to the container."""
        if self._stream is not None:
            self._stream.close()

    def stay(self, start: "Callable[[], None] | None" = None) -> int:
        """Start it, if asked to, and stay until it exits (its code) or the detach keys are typed (0)."""
        assert self._stream is not None
        with RawMode(0 if self._tty and self._stdin else -1):
            if start is not None:
                start()
            if self._tty:
                self._resize()
            session = Session(
                self._stream,
                self._relay,
                tty=self._tty,
                stdin=0 if self._stdin else None,
                detach_keys=self._typed_keys,
                watch=self._watch,
            )
            if session.run():
                return 0
        return self.exit_code()

    def exit_code(self) -> int:
        """Wait for the exit."""
        assert self._watch is not None
        return self._watch.result(self._relay)

    def _forward(self, number: int) -> None:
        send_signal(self._app, self._id, number)

    def _resize(self) -> None:
        resize_container(self._app, self._id)
