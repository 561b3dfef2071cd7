"""What may differ between two engines that do the same: ids, times, addresses, paths, the program's own name."""

import re
from collections.abc import Callable

_TIME = r"(?!0001-)\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?: ?Z| [+-]\d{4} \w+|[+-]\d\d:?\d\d)?"
_AGE = r"(?:Less than a second|About an? (?:minute|hour)|\d+ (?:second|minute|hour)s?)"
_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(_TIME), "<time>"),
    (re.compile(_AGE + " ago"), "<age> ago"),
    (re.compile("Up " + _AGE), "Up <age>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12}\b"), "<short id>"),
    (re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "<mac>"),
    (re.compile(r"\b172\.\d+\.\d+\.\d+\b"), "<address>"),
    (re.compile(r"\b(?:3[2-9]|4\d|5\d|60)\d{3}\b"), "<port>"),
    (re.compile(r"\bwherry\b"), "docker"),
    # The words around the message of an error of runc: 20.10 has containerd and runc of its time.
    (re.compile("failed to create task for container: failed to create shim task"), "failed to create shim task"),
    (re.compile('unable to start container process: error during container init: exec: "'),
     'unable to start container process: exec: "'),
    # dockerd began its messages with a capital until 23.0.
    (re.compile("(Error response from daemon: )([A-Z][a-z])"), lambda match: match[1] + match[2].lower()),
    # Where the help is, in the words of docker 20.10 and 28.
    (re.compile(r"(?:\r?\n)*(?:See 'docker [\w ]+ --help'\.|Run 'docker [\w ]+ --help' for more information)"), ""),
    # Docker 20.10's client ends an error with a full stop, and may say more about a wait that it ended itself.
    (re.compile(r'(?:time="<time>" level=error msg="|\x1b\[31mERRO\x1b\[0m\[\d+\] )error waiting for container: [^\n]*\n'), ""),
    (re.compile(r"^(docker: .*)\.(\r?\n)"), r"\1\2"),
    (re.compile(r"\n\nUsage:  docker [\s\S]*\Z"), ""),
    (re.compile(r" {3,}"), "   "),  # a column is as wide as its widest value
)  # fmt: skip


def normalise(text: str, roots: tuple[str, ...] = ()) -> str:
    """The text with everything that may differ replaced. ``roots`` are the engine's own directories."""
    for root in roots:
        text = text.replace(root, "<root>")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return "\n".join(line.rstrip(" ") for line in text.split("\n"))
