"""The driver that stores nothing."""


class NoneDriver:
    """Discards output; ``docker logs`` then says that the driver does not support reading."""

    def write(self, stream: str, chunk: bytes) -> None:
        """Discard."""

    def end_stream(self, stream: str) -> None:
        """Nothing is pending."""

    def close(self) -> None:
        """Nothing is open."""
