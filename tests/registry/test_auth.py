"""Authentication, and where secrets must not go (S08, S11)."""

import base64

import pytest

from tests.registry.fake_registry import FakeRegistry
from wherry.errors import Forbidden, NotFound, Unauthorized
from wherry.oci import reference as references
from wherry.registry.auth import parse_challenge
from wherry.registry.client import RegistryClient
from wherry.registry.credentials import AuthConfig, encode_header, from_docker_config, parse_header
from wherry.registry.manifests import fetch_manifest
from wherry.registry.retry import Retry
from wherry.settings import Settings

USER = AuthConfig("user", "secret")
SECRETS = ("secret", base64.b64encode(b"user:secret").decode())


def client(**changes: object) -> RegistryClient:
    return RegistryClient(Settings(**changes), retry=Retry(attempts=1))  # type: ignore[arg-type]


def fetch(made: RegistryClient, host: str, auth: AuthConfig | None = None, name: str = "app") -> str:
    reference = references.parse(f"{host}/{name}:v1")
    return fetch_manifest(made.repository(reference, auth), "v1").digest


def filled(registry: FakeRegistry) -> FakeRegistry:
    for name in ("app", "other"):
        registry.repository(name).add_manifest({"schemaVersion": 2, "config": {}, "layers": []}, "v1")
    return registry


def saw_secret(registry: FakeRegistry) -> bool:
    return any(s in f"{r.path} {r.headers} {r.body!r}" for r in registry.requests for s in SECRETS)


def test_an_anonymous_token_is_fetched_once_per_scope() -> None:
    with filled(FakeRegistry(token=True)) as registry:
        made = client()
        fetch(made, registry.host)
        fetch(made, registry.host)
        assert [path.partition("?")[0] for path in registry.paths()] == [
            "/v2/app/manifests/v1",
            "/token",
            "/v2/app/manifests/v1",
            "/v2/app/manifests/v1",
        ]
        assert "scope=repository%3Aapp%3Apull" in registry.paths()[1]
        fetch(made, registry.host, name="other")
        assert sum(path.startswith("/token") for path in registry.paths()) == 2
        made.close()


def test_basic_credentials_answer_a_basic_challenge() -> None:
    with filled(FakeRegistry(basic=("user", "secret"))) as registry:
        made = client()
        fetch(made, registry.host, USER)
        with pytest.raises(Unauthorized, match="no basic auth credentials"):
            fetch(made, registry.host)
        with pytest.raises(Unauthorized):
            fetch(made, registry.host, AuthConfig("user", "wrong"))
        made.close()


def test_a_refresh_token_is_posted() -> None:
    with filled(FakeRegistry(token=True)) as registry:
        made = client()
        fetch(made, registry.host, AuthConfig(identity_token="refresh"))
        (posted,) = [r for r in registry.requests if r.method == "POST"]
        assert b"grant_type=refresh_token" in posted.body
        assert b"refresh_token=refresh" in posted.body
        made.close()


def test_a_registry_token_is_sent_as_it_is() -> None:
    with filled(FakeRegistry(token=True)) as registry:
        registry.issued.add("given")
        made = client()
        fetch(made, registry.host, AuthConfig(registry_token="given"))
        assert len(registry.requests) == 1
        made.close()


def test_an_expired_token_is_replaced() -> None:
    with filled(FakeRegistry(token=True)) as registry:
        made = client()
        fetch(made, registry.host)
        registry.issued = {"something", "else"}
        fetch(made, registry.host)
        assert sum(path.startswith("/token") for path in registry.paths()) == 2
        made.close()


def test_wrong_credentials_are_told_in_the_registrys_words() -> None:
    with filled(FakeRegistry(token=True)) as registry:
        made = client()
        with pytest.raises(Unauthorized, match="unauthorized: incorrect username or password"):
            fetch(made, registry.host, USER)
        made.close()


def test_a_refused_scope_is_dockers_pull_access_denied() -> None:
    with filled(FakeRegistry(token=True)) as registry:
        registry.anonymous_pull = False
        made = client()
        with pytest.raises(NotFound) as caught:
            fetch(made, registry.host)
        assert str(caught.value) == (
            f"pull access denied for {registry.host}/app, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied"
        )
        made.close()


def test_s08_a_realm_on_another_host_sees_no_credentials() -> None:
    with filled(FakeRegistry(token=True)) as registry, FakeRegistry() as thief:
        registry.users["user"] = "secret"
        registry.realm = f"http://localhost:{thief.port}/token"
        made = client()
        with pytest.raises(Forbidden, match="refuse to send the credentials"):
            fetch(made, registry.host, USER)
        with pytest.raises(Forbidden, match="refuse to send the credentials"):
            fetch(made, registry.host, AuthConfig(identity_token="secret"))
        assert thief.requests == []
        thief.issued = registry.issued
        fetch(made, registry.host)  # anonymous: there is no secret to lose
        assert not saw_secret(thief)
        made.close()


def test_s08_a_realm_that_the_settings_list_is_trusted() -> None:
    with filled(FakeRegistry(token=True)) as registry, FakeRegistry() as tokens:
        tokens.users["user"] = "secret"
        tokens.issued = registry.issued
        registry.realm = f"http://localhost:{tokens.port}/token"
        made = client(token_realms={registry.host: "localhost"})
        fetch(made, registry.host, USER)
        assert saw_secret(tokens)
        made.close()


def test_s11_an_anonymous_pull_after_an_authenticated_one_gets_no_token_of_it() -> None:
    with filled(FakeRegistry(token=True)) as registry:
        registry.users["user"] = "secret"
        registry.anonymous_pull = False
        made = client()
        fetch(made, registry.host, USER)
        with pytest.raises(NotFound, match="pull access denied"):
            fetch(made, registry.host)
        with pytest.raises(Unauthorized):
            fetch(made, registry.host, AuthConfig("user", "other"))
        fetch(made, registry.host, USER)
        made.close()


def test_a_token_with_a_line_break_is_refused() -> None:
    with filled(FakeRegistry(token=True)) as registry:
        registry.next_statuses = []
        made = client()
        with pytest.raises(Forbidden, match="control characters"):
            fetch(made, registry.host, AuthConfig(registry_token="a\r\nX: y"))
        made.close()


def test_challenges_are_parsed_with_quotes_and_commas() -> None:
    parsed = parse_challenge('Bearer realm="https://a/t",service="s, \\"x\\"",scope="repository:a:pull,push"')
    assert parsed is not None
    assert parsed.parameters == {"realm": "https://a/t", "service": 's, "x"', "scope": "repository:a:pull,push"}
    assert parse_challenge("Negotiate abc") is None


def test_credentials_round_trip_through_the_header() -> None:
    assert parse_header(encode_header(USER)) == USER
    assert parse_header("") is None
    assert parse_header(base64.urlsafe_b64encode(b"{}").decode()) is None
    assert "secret" not in repr(USER)


def test_credentials_are_read_from_dockers_config(tmp_path: pytest.TempPathFactory) -> None:
    path = f"{tmp_path}/config.json"
    encoded = base64.b64encode(b"user:se:cret").decode()
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{encoded}"}}, '
            '"reg.example:5000": {"identitytoken": "t"}}}'
        )
    hub = from_docker_config("docker.io", path)
    assert hub is not None
    assert (hub.username, hub.password) == ("user", "se:cret")
    other = from_docker_config("reg.example:5000", path)
    assert other is not None
    assert other.identity_token == "t"
    assert from_docker_config("unknown.example", path) is None
