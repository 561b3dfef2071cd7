"""The running program: global options, the connection to the engine, stdout and stderr."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.client.address import TlsFiles
    from wherry.client.containers import Containers
    from wherry.client.exec import Exec
    from wherry.client.images import Images
    from wherry.client.networks import Networks
    from wherry.client.system import System
    from wherry.client.transport import Transport
    from wherry.client.volumes import Volumes


class App:
    """One per process. The groups of the API are made when first asked for; so is the connection."""

    def __init__(
        self, *, host: str = "", context: str = "", tls: "TlsFiles | None" = None, debug: bool = False
    ) -> None:
        self.host = host
        self.context = context
        self.tls = tls
        self.debug = debug
        self.wakes = True  # this user's engine is started when it does not run
        self._transport: Transport | None = None

    @property
    def transport(self) -> "Transport":
        if self._transport is None:
            from wherry.client.address import find_address
            from wherry.client.transport import Transport
            from wherry.client.wake import wake_engine

            address = find_address(self.host, tls=self.tls, context=self.context)
            self._transport = Transport(address, wake_engine if address.own and self.wakes else None)
        return self._transport

    def close(self) -> None:
        """Drop the idle connections."""
        if self._transport is not None:
            self._transport.close()

    @property
    def containers(self) -> "Containers":
        from wherry.client.containers import Containers

        return Containers(self.transport)

    @property
    def exec(self) -> "Exec":
        from wherry.client.exec import Exec

        return Exec(self.transport)

    @property
    def images(self) -> "Images":
        from wherry.client.images import Images

        return Images(self.transport)

    @property
    def networks(self) -> "Networks":
        from wherry.client.networks import Networks

        return Networks(self.transport)

    @property
    def volumes(self) -> "Volumes":
        from wherry.client.volumes import Volumes

        return Volumes(self.transport)

    @property
    def system(self) -> "System":
        from wherry.client.system import System

        return System(self.transport)

    def out(self, text: str) -> None:
        """Write text and a newline to stdout."""
        sys.stdout.write(text + "\n")

    def err(self, text: str) -> None:
        """Write text and a newline to stderr, after what stdout holds."""
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte to a descriptor that may be a slow pipe or a non-blocking terminal."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            # Another program of the pipeline made the shared description non-blocking: wait for room.
            import select

            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
