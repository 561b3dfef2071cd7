"""Where the data root and the run root are: all that a client must know to find its engine.

Apart from :mod:`wherry.settings` because that one imports dataclasses and hashlib (10 ms), which
``wherry ps`` must not pay for. Imports nothing but os.
"""

import os

DEFAULT_DATA_ROOT = "/var/lib/wherry"
DEFAULT_RUN_ROOT = "/run/wherry"


def data_root() -> str:
    """WHERRY_DATA_ROOT, else root's default, else the calling user's."""
    chosen = os.environ.get("WHERRY_DATA_ROOT", "")
    if chosen or os.geteuid() == 0:
        return chosen or DEFAULT_DATA_ROOT
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return f"{home}/wherry"


def run_root() -> str:
    """WHERRY_RUN_ROOT, else root's default, else the calling user's."""
    chosen = os.environ.get("WHERRY_RUN_ROOT", "")
    if chosen or os.geteuid() == 0:
        return chosen or DEFAULT_RUN_ROOT
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/wherry-{os.getuid()}"
    return f"{runtime}/wherry"


def api_socket(root: str) -> str:
    """The Docker Engine API's unix socket under the run root ``root``."""
    return f"{root}/wherry.sock"
