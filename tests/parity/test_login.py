"""``login`` and ``logout`` by both clients: what is printed, and what the configuration file holds afterwards.

dockerd cannot be asked, its network namespace does not reach the registry; the texts of its answers stand here.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parity.normalise import normalise
from tests.parity.script import Side, parse
from tests.registry.fake_registry import FakeRegistry

pytestmark = [pytest.mark.privileged, pytest.mark.peer]


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with FakeRegistry(basic=("me", "pw")) as fake:
        yield fake.host


@pytest.fixture(scope="module")
def token_host() -> Iterator[str]:
    with FakeRegistry(token=True) as fake:
        fake.users, fake.anonymous_pull = {"me": "pw"}, False
        yield fake.host


SCRIPT = """
    'pw' | login -u me --password-stdin {host}
    'pw' | login -u me --password-stdin http://{host}/v2/
    'pw' | login -u me --password-stdin {token}
    'bad' | login -u me --password-stdin {host}
    'bad' | login -u me --password-stdin {token}
    login -u me -p pw {host}
    login -p x {host}
    login -u me -p pw --password-stdin {host}
    'pw' | login --password-stdin {host}
    login -u me {host}
    'pw' | login -u me --password-stdin 127.0.0.1:1
    login {host}
    logout {host}
    logout {host}
    logout
    login {host}
"""


def test_logins_are_dockers(
    sides: tuple[Side, Side, Side], same_words: bool, host: str, token_host: str, tmp_path: Path
) -> None:
    steps = parse(SCRIPT.format(host=host, token=token_host), same_words=same_words)
    found = []
    for number, side in enumerate(sides[1:]):
        folder = tmp_path / str(number)
        alone = Side(side.name, side.prefix, {**side.environment, "DOCKER_CONFIG": str(folder)}, side.normalise)
        told = []
        for step in steps:
            outcome = alone.run(step)
            config = folder / "config.json"
            auths = json.loads(config.read_text()).get("auths", {}) if config.exists() else {}
            errors = outcome.stderr.replace(str(folder), "<config>")
            told.append((step.line, outcome.stdout, errors if same_words else "", outcome.code, auths))
        found.append(told)
    assert found[1] == found[0]
    if not same_words:
        return
    by_line = {line: (code, stderr) for line, _, stderr, code, _ in found[1]}
    denied = f"Error response from daemon: login attempt to http://{host}/v2/ failed with status: 401 Unauthorized\n"
    assert by_line[f"'bad' | login -u me --password-stdin {host}"] == (1, normalise(denied))
    wrong = (
        f'Error response from daemon: get "http://{token_host}/v2/": unauthorized: incorrect username or password\n'
    )
    assert by_line[f"'bad' | login -u me --password-stdin {token_host}"] == (1, normalise(wrong))
