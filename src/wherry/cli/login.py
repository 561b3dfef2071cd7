"""``login`` and ``logout``."""

import os
import sys

from wherry.cli.app import App
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed, describe
from wherry.cli.options import Option
from wherry.client.credentials import (
    INDEX_SERVER,
    config_path,
    erase_credentials,
    find_credentials,
    store_credentials,
)
from wherry.errors import Unauthorized


def _login(call: Invocation) -> int:
    flags, app = call.flags, call.app
    server = _server(call.args[0]) if call.args else INDEX_SERVER
    user, password = flags.text("username"), flags.text("password")
    if flags.flag("password-stdin"):
        if flags.changed("password"):
            raise CommandFailed("conflicting options: cannot specify both --password and --password-stdin")
        if not user:
            raise CommandFailed("the --password-stdin option requires --username to be set")
        password = sys.stdin.read().rstrip("\r\n")
    elif flags.changed("password"):
        app.err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    stored = find_credentials(server) if not (user or password) else {}
    status = _login_as_before(app, stored) if stored.get("username") else ""
    if not status:
        user, password = _ask(user, password, stored.get("username", ""))
        credentials = {"username": user, "password": password, "serveraddress": server}
        answer = app.system.check_credentials(credentials)
        if answer.get("IdentityToken"):
            credentials["identitytoken"] = answer["IdentityToken"]
        if store_credentials(server, credentials):
            app.err(
                f"\nWARNING! Your credentials are stored unencrypted in '{config_path()}'.\n"
                "Configure a credential helper to remove this warning. See\n"
                "https://docs.docker.com/go/credential-store/\n"
            )
        status = str(answer.get("Status") or "Login Succeeded")
    app.out(status)
    return 0


def _login_as_before(app: App, stored: "dict[str, str]") -> str:
    """Try what is stored; gives the engine's word, or nothing when it does not do any more."""
    app.err(
        f"Authenticating with existing credentials... [Username: {stored['username']}]\n\n"
        " Info -> To login with a different account, run 'wherry logout' followed by 'wherry login'\n\n"
    )
    try:
        return str(app.system.check_credentials(stored).get("Status") or "Login Succeeded")
    except Unauthorized as exc:
        app.err(f"Login did not succeed, error: {describe(exc)}")
        return ""


def _ask(user: str, password: str, usual: str) -> tuple[str, str]:
    if not (user and password) and not os.isatty(0):
        raise CommandFailed("Error: Cannot perform an interactive login from a non TTY device")
    if not user:
        sys.stderr.write(f"Username ({usual}): " if usual else "Username: ")
        sys.stderr.flush()
        user = sys.stdin.readline().strip() or usual
        if not user:
            raise CommandFailed("Error: Non-null Username Required")
    if not password:
        import getpass

        password = getpass.getpass("Password: ")
        if not password:
            raise CommandFailed("Error: Password Required")
    return user, password


def _server(text: str) -> str:
    """What credentials are filed under: a host, or docker.io's old URL."""
    if text in ("docker.io", "index.docker.io", "registry-1.docker.io", INDEX_SERVER):
        return INDEX_SERVER
    return text.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _logout(call: Invocation) -> int:
    server = _server(call.args[0]) if call.args else INDEX_SERVER
    call.app.out(f"Removing login credentials for {server}")
    erase_credentials(server)
    return 0


LOGIN = Command(
    "[OPTIONS] [SERVER]",
    "Authenticate to a registry",
    _login,
    options=(
        Option("password", "p", "string", "Password or Personal Access Token (PAT)"),
        Option("password-stdin", "", "bool", "Take the Password or Personal Access Token (PAT) from stdin"),
        Option("username", "u", "string", "Username"),
    ),
    most=1,
    long="Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.",
)
LOGOUT = Command(
    "[SERVER]",
    "Log out from a registry",
    _logout,
    most=1,
    long="Log out from a registry.\nIf no server is specified, the default is defined by the daemon.",
)
