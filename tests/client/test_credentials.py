import json
import os
import stat
from pathlib import Path

import pytest

from wherry.client import credentials
from wherry.errors import InvalidParameter, System


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker" / "config.json"


def test_a_stored_login_is_found_and_only_its_owner_can_read_it(config: Path) -> None:
    credentials.store_credentials("r.example:5000", {"username": "me", "password": "p:w"})
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    found = credentials.find_credentials(credentials.registry_of("r.example:5000/team/app"))
    assert found == {"serveraddress": "r.example:5000", "username": "me", "password": "p:w"}


def test_other_settings_in_the_file_survive_a_login_and_a_logout(config: Path) -> None:
    config.parent.mkdir()
    config.write_text('{"psFormat": "x", "auths": {"a.example": {"auth": "dTpw"}}}')
    credentials.store_credentials("b.example", {"username": "u", "password": "p"})
    assert credentials.erase_credentials("a.example")
    assert not credentials.erase_credentials("a.example")
    document = json.loads(config.read_text())
    assert document["psFormat"] == "x" and list(document["auths"]) == ["b.example"]


def test_a_repository_without_a_registry_belongs_to_the_hub(config: Path) -> None:
    assert (
        credentials.registry_of("busybox") == credentials.registry_of("docker.io/me/app") == credentials.INDEX_SERVER
    )
    assert credentials.registry_of("localhost/x") == "localhost"


def test_a_helper_is_asked_before_the_file(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-fake"
    helper.write_text('#!/bin/sh\nread server\necho "{\\"Username\\": \\"h-$server\\", \\"Secret\\": \\"s\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    config.parent.mkdir()
    config.write_text('{"credHelpers": {"c.example": "fake"}}')
    assert credentials.find_credentials("c.example")["username"] == "h-c.example"


def test_a_broken_file_is_named(config: Path) -> None:
    config.parent.mkdir()
    config.write_text("{")
    with pytest.raises(InvalidParameter, match=str(config)):
        credentials.find_credentials("a.example")


HELPER = """#!/bin/sh
echo "$1 $(cat)" >> {log}
[ -e {broken} ] && echo "no keyring" && exit 3
exit 0
"""


def test_a_helper_keeps_the_secret_and_the_file_only_the_name(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, broken = tmp_path / "log", tmp_path / "broken"
    helper = tmp_path / "docker-credential-fake"
    helper.write_text(HELPER.format(log=log, broken=broken))
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    config.parent.mkdir()
    config.write_text('{"credsStore": "fake"}')
    assert not credentials.store_credentials("a.example", {"username": "me", "password": "secret"})
    assert "secret" not in config.read_text() and "bWU6" not in config.read_text()
    assert json.loads(config.read_text())["auths"] == {"a.example": {}}
    verb, _, sent = log.read_text().partition(" ")
    assert verb == "store"
    assert json.loads(sent) == {"ServerURL": "a.example", "Username": "me", "Secret": "secret"}
    assert credentials.erase_credentials("a.example")
    assert log.read_text().endswith("erase a.example\n")
    assert json.loads(config.read_text())["auths"] == {}
    broken.touch()
    with pytest.raises(System, match="error storing credentials - err: exit status 3, out: `no keyring`"):
        credentials.store_credentials("a.example", {"username": "me", "password": "secret"})
    assert json.loads(config.read_text())["auths"] == {}


def test_a_helper_is_a_name_and_no_path(config: Path) -> None:
    config.parent.mkdir()
    config.write_text('{"credsStore": "../../tmp/evil"}')
    with pytest.raises(InvalidParameter, match="is no credential helper"):
        credentials.find_credentials("a.example")
