"""What the zygote imports, every monitor shares and every fork pays for: it is counted (P16)."""

import subprocess
import sys

NEEDLESS = {
    "ast",
    "base64",
    "dataclasses",
    "inspect",
    "json",
    "logging",
    "pickle",
    "re",
    "tokenize",
    "traceback",
    "typing",
}
_PROBE = """
import sys
sys.path.insert(0, {root!r})
from wherry.monitor import bootstrap, zygote
zygote.preload()
print(*sys.modules)
"""


def test_the_zygote_imports_nothing_that_no_monitor_needs() -> None:
    root = __file__.rpartition("/tests/")[0] + "/src"
    probe = [sys.executable, "-I", "-S", "-c", _PROBE.format(root=root)]
    answer = subprocess.run(probe, capture_output=True, text=True, timeout=30, check=True)
    assert not NEEDLESS & set(answer.stdout.split())
