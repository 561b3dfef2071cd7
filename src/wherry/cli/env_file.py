"""``--env-file`` and ``--label-file``: a line is ``NAME=value``, a comment, or a bare NAME from our environment."""

import codecs
import os


def read_env_file(path: str) -> list[str]:
    """The assignments of an env file. A bare name that our environment lacks is left out."""
    return _read(path, from_environment=True)


def read_label_file(path: str) -> list[str]:
    """The labels of a label file; a bare name has an empty value."""
    return _read(path, from_environment=False)


def _read(path: str, *, from_environment: bool) -> list[str]:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as exc:
        raise ValueError(f"open {path}: {(exc.strerror or str(exc)).lower()}") from None
    entries: list[str] = []
    for number, raw in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        try:
            line = raw.decode().lstrip().removesuffix("\r")
        except UnicodeDecodeError:
            raise ValueError(f"invalid env file ({path}): invalid utf8 bytes at line {number}: {raw!r}") from None
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name:
            raise ValueError(f"invalid env file ({path}): no variable name on line '{line}'")
        if " " in name or "\t" in name:
            raise ValueError(f"invalid env file ({path}): variable '{name}' contains whitespaces")
        if equals:
            entries.append(f"{name}={value}")
        elif not from_environment:
            entries.append(name)
        elif name in os.environ:
            entries.append(f"{name}={os.environ[name]}")
    return entries
