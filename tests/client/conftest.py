import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client.fake_engine import FakeEngine, Handler


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], FakeEngine]]:
    """Start a fake engine with a handler; stopped at the end of the test."""
    engines: list[FakeEngine] = []
    with tempfile.TemporaryDirectory(prefix="wc-", dir="/tmp") as folder:

        def start(handler: Handler) -> FakeEngine:
            engine = FakeEngine(str(Path(folder) / f"{len(engines)}.sock"), handler)
            engines.append(engine)
            return engine

        yield start
        for engine in engines:
            engine.close()
