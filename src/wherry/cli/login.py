"""``login`` and ``logout``."""

import os
import sys

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.options import Option
from wherry.client.credentials import INDEX_SERVER, config_path, erase_credentials, store_credentials


def _login(call: Invocation) -> int:
    flags, app = call.flags, call.app
    server = call.args[0] if call.args else INDEX_SERVER
    if server in ("docker.io", "index.docker.io", "registry-1.docker.io"):
        server = INDEX_SERVER
    user, password = flags.text("username"), flags.text("password")
    if flags.changed("password"):
        app.err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        if flags.flag("password-stdin"):
            raise CommandFailed("--password and --password-stdin are mutually exclusive")
    if flags.flag("password-stdin"):
        if not user:
            raise CommandFailed("Must provide --username with --password-stdin")
        password = sys.stdin.read().rstrip("\r\n")
    if not (user and password) and not os.isatty(0):
        raise CommandFailed("Error: Cannot perform an interactive login from a non TTY device")
    if not user:
        sys.stderr.write("Username: ")
        sys.stderr.flush()
        user = sys.stdin.readline().strip()
        if not user:
            raise CommandFailed("Error: Non-null Username Required")
    if not password:
        import getpass

        password = getpass.getpass("Password: ")
        if not password:
            raise CommandFailed("Error: Password Required")
    credentials = {"username": user, "password": password, "serveraddress": server}
    answer = app.system.check_credentials(credentials)
    if answer.get("IdentityToken"):
        credentials["identitytoken"] = answer["IdentityToken"]
    store_credentials(server, credentials)
    app.err(f"\nWARNING! Your credentials are stored unencrypted in '{config_path()}'.")
    app.out(str(answer.get("Status") or "Login Succeeded"))
    return 0


def _logout(call: Invocation) -> int:
    server = call.args[0] if call.args else INDEX_SERVER
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
