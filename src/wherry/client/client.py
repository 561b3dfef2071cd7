"""``wherry.Client``: the engine from Python, one object with the API's groups and a ``run`` that does the usual.

    from wherry import Client
    output = Client().run("busybox", ["echo", "hello"], remove=True)

Documents are the API's own, as dicts. Thread-safe: each request has a connection to itself. Heavier conveniences
(object models, retries) are out of scope: docker-py works against the same engine.
"""

from wherry.client.address import find_address
from wherry.client.containers import Containers
from wherry.client.exec import Exec
from wherry.client.images import Images
from wherry.client.networks import Networks
from wherry.client.streams import STDERR, demultiplex
from wherry.client.system import System
from wherry.client.transport import Transport
from wherry.client.volumes import Volumes
from wherry.client.wake import wake_engine
from wherry.errors import NotFound, WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any


class ContainerFailed(WherryError):
    """A container that was run to its end left with a code other than 0."""

    def __init__(self, image: str, exit_code: int, stderr: bytes) -> None:
        tail = stderr[-1000:].decode("utf-8", "replace").strip()
        super().__init__(f"run {image}: exit code {exit_code}" + (f": {tail}" if tail else ""))
        self.exit_code = exit_code
        self.stderr = stderr


class ExecResult:
    """What a process in a container printed, and its exit code."""

    __slots__ = ("exit_code", "stderr", "stdout")

    def __init__(self, exit_code: int, stdout: bytes, stderr: bytes) -> None:
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr


class Client:
    """One engine. ``host`` as for ``wherry --host``, else WHERRY_HOST, DOCKER_HOST, this user's own engine,
    which is started if it does not run.
    """

    def __init__(self, host: str = "") -> None:
        address = find_address(host)
        self.transport = Transport(address, wake_engine if address.own else None)
        self.containers = Containers(self.transport)
        self.images = Images(self.transport)
        self.networks = Networks(self.transport)
        self.volumes = Volumes(self.transport)
        self.execs = Exec(self.transport)
        self.system = System(self.transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the idle connections."""
        self.transport.close()

    def run(
        self,
        image: str,
        command: "Sequence[str]" = (),
        *,
        name: str = "",
        environment: "Mapping[str, str] | None" = None,
        host_config: "Mapping[str, Any] | None" = None,
        stdin: bytes | None = None,
        remove: bool = False,
    ) -> bytes:
        """Run a container to its end and give its stdout. Raises ContainerFailed for an exit code other than 0.

        ``host_config`` is the API's HostConfig. ``remove`` removes the container before this returns. An image
        that is missing is pulled.
        """
        config = _config(image, command, environment, host_config, remove=remove, stdin=stdin is not None)
        container = self._create(image, config, name)
        attach = self.containers.begin_attach(container, stdin=stdin is not None, stdout=True, stderr=True)
        watch = self.containers.begin_wait(container, "removed" if remove else "next-exit")
        try:
            stream = attach.answer().detach()
        except WherryError:
            watch.abandon()
            raise
        stdout: list[bytes] = []
        stderr: list[bytes] = []
        try:
            exit_response = watch.answer()
            self.containers.start(container)
            if stdin is not None:
                stream.send(stdin)
                stream.close_write()
            for kind, piece in demultiplex(iter(stream.read_some, b"")):
                (stderr if kind == STDERR else stdout).append(piece)
        finally:
            stream.close()
        code = int(exit_response.json()["StatusCode"])
        if code:
            raise ContainerFailed(image, code, b"".join(stderr))
        return b"".join(stdout)

    def start(
        self,
        image: str,
        command: "Sequence[str]" = (),
        *,
        name: str = "",
        environment: "Mapping[str, str] | None" = None,
        host_config: "Mapping[str, Any] | None" = None,
        remove: bool = False,
    ) -> str:
        """Start a container in the background and give its id."""
        config = _config(image, command, environment, host_config, remove=remove, stdin=False)
        container = self._create(image, config, name)
        self.containers.start(container)
        return container

    def _create(self, image: str, config: "dict[str, Any]", name: str) -> str:
        try:
            return str(self.containers.create(config, name=name)["Id"])
        except NotFound:
            self.pull(image)
            return str(self.containers.create(config, name=name)["Id"])

    def pull(self, image: str) -> None:
        """Pull an image. Raises WherryError with the engine's words if that does not work."""
        name, at, digest = image.partition("@")
        head, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            head, tag = name, "latest"
        for message in self.images.pull(head, digest if at else tag):
            if "error" in message:
                raise WherryError(str(message["error"]))

    def logs(self, container: str, *, follow: bool = False, tail: str = "all") -> "Iterator[bytes]":
        """What the container printed, both streams, in pieces."""
        tty = bool(self.containers.inspect(container)["Config"]["Tty"])
        response = self.containers.logs(container, follow=follow, tail=tail)
        if tty:
            yield from response.chunks()
        else:
            for _, piece in demultiplex(response.chunks()):
                yield piece

    def exec(
        self,
        container: str,
        command: "Sequence[str]",
        *,
        user: str = "",
        workdir: str = "",
        environment: "Mapping[str, str] | None" = None,
    ) -> ExecResult:
        """Run a process in a running container to its end."""
        config = {
            "Cmd": list(command),
            "AttachStdout": True,
            "AttachStderr": True,
            "User": user,
            "WorkingDir": workdir,
            "Env": [f"{key}={value}" for key, value in (environment or {}).items()],
        }
        exec_id = self.execs.create(container, config)
        stream = self.execs.begin_start(exec_id).answer().detach()
        stdout: list[bytes] = []
        stderr: list[bytes] = []
        try:
            for kind, piece in demultiplex(iter(stream.read_some, b"")):
                (stderr if kind == STDERR else stdout).append(piece)
        finally:
            stream.close()
        code = int(self.execs.inspect(exec_id)["ExitCode"] or 0)
        return ExecResult(code, b"".join(stdout), b"".join(stderr))


def _config(
    image: str,
    command: "Sequence[str]",
    environment: "Mapping[str, str] | None",
    host_config: "Mapping[str, Any] | None",
    *,
    remove: bool,
    stdin: bool,
) -> "dict[str, Any]":
    config: dict[str, Any] = {
        "Image": image,
        "HostConfig": {**(host_config or {}), "AutoRemove": remove},
        "AttachStdout": True,
        "AttachStderr": True,
        "AttachStdin": stdin,
        "OpenStdin": stdin,
        "StdinOnce": stdin,
    }
    if command:
        config["Cmd"] = list(command)
    if environment:
        config["Env"] = [f"{key}={value}" for key, value in environment.items()]
    return config
