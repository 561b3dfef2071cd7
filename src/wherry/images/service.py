"""The image service: what the API and the containers call. One method a verb, the work lies in their files."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from wherry.images.image import Image, Progress
from wherry.oci.platform import Platform
from wherry.registry.credentials import AuthConfig

Filters = Mapping[str, Sequence[str]]


class Images:
    """Thread-safe. Errors are kinds of wherry.errors with Docker's text."""

    def resolve(self, name: str, platform: Platform | None = None) -> Image:
        """By reference, id or id prefix; raises ImageNotFound (``No such image: x``)."""
        raise NotImplementedError

    def pull(
        self,
        reference: str,
        *,
        platform: Platform | None = None,
        auth: AuthConfig | None = None,
        progress: Progress,
        cancelled: threading.Event | None = None,
    ) -> Image: ...

    def load(self, stream: BinaryIO, *, progress: Progress) -> list[Image]: ...

    def import_(
        self,
        stream: BinaryIO,
        *,
        reference: str = "",
        changes: Sequence[str] = (),
        message: str = "",
        platform: Platform | None = None,
        progress: Progress,
    ) -> Image: ...

    def save(self, names: Sequence[str], out: BinaryIO, platform: Platform | None = None) -> None: ...

    def list(self, filters: Filters | None = None, *, all: bool = False) -> list[Image]: ...

    def summaries(
        self, filters: Filters | None = None, *, all: bool = False, shared_size: bool = False
    ) -> list[dict[str, Any]]: ...

    def inspect(self, name: str) -> dict[str, Any]: ...

    def history(self, name: str) -> list[dict[str, Any]]: ...

    def tag(self, source: str, repository: str, tag: str) -> None: ...

    def remove(self, name: str, *, force: bool = False, prune_children: bool = True) -> list[dict[str, str]]: ...

    def prune(self, filters: Filters | None = None) -> dict[str, Any]: ...
