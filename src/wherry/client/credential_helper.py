"""The programs that keep registry secrets: ``docker-credential-<name> get|store|erase``."""

import json
import subprocess

from wherry.errors import InvalidParameter, System

_SECONDS = 60
_VERBS = {"store": "storing", "erase": "erasing"}


def get(helper: str, server: str) -> dict[str, str]:
    """The API's AuthConfig for a registry; empty when the helper has none. Raises System."""
    answer = _call(helper, "get", server)
    if answer.returncode:
        return {}  # the helper's way of saying that it has none
    try:
        document = json.loads(answer.stdout)
        user, secret = str(document["Username"]), str(document["Secret"])
    except (ValueError, KeyError, TypeError) as exc:
        raise System(f"run docker-credential-{helper} get: not the JSON of credentials") from exc
    if user == "<token>":
        return {"serveraddress": server, "identitytoken": secret}
    return {"serveraddress": server, "username": user, "password": secret}


def store(helper: str, server: str, user: str, secret: str) -> None:
    """Keep a secret; raises System in Docker's words."""
    _tell(helper, "store", json.dumps({"ServerURL": server, "Username": user, "Secret": secret}))


def erase(helper: str, server: str) -> None:
    """Forget a secret; raises System in Docker's words."""
    _tell(helper, "erase", server)


def _tell(helper: str, verb: str, text: str) -> None:
    answer = _call(helper, verb, text)
    if answer.returncode:
        said = (answer.stdout or answer.stderr).decode("utf-8", "replace").strip()[:1000]
        raise System(f"error {_VERBS[verb]} credentials - err: exit status {answer.returncode}, out: `{said}`")


def _call(helper: str, verb: str, text: str) -> "subprocess.CompletedProcess[bytes]":
    if "/" in helper:
        raise InvalidParameter(f"{helper!r} is no credential helper")
    try:
        return subprocess.run(
            [f"docker-credential-{helper}", verb], input=text.encode(), capture_output=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise System(f"run docker-credential-{helper}: {exc}") from exc
