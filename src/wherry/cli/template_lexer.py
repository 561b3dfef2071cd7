"""Tokens of Go's text/template. Source: the package's documentation, "Text and spaces" and "Actions"."""

import re

from wherry.cli.errors import CommandFailed

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_COMMENT = re.compile(r"\{\{(?:-\s+)?/\*.*?\*/(?:\s+-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s+
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<char>'(?:[^'\\]|\\.)+')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?))
    |(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
    |(?P<variable>\$[A-Za-z0-9_]*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>:=|=|\||\(|\)|,|\.)""",
    re.VERBOSE,
)
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)

Token = tuple[str, str, int]  # kind, text, offset; blanks are kind "space", for `a .b` is not `a.b`


class TemplateError(CommandFailed):
    """A template does not parse or does not fit its data; the text is Go's where one can know it."""


def split_actions(source: str) -> list[tuple[bool, str, int]]:
    """``(is_action, text, offset)`` pieces, with trimmed blanks taken away and comments dropped."""
    source = _COMMENT.sub(
        lambda match: (
            ("{{- ``}}" if match[0].startswith("{{-") else "") + ("{{`` -}}" if match[0].endswith("-}}") else "")
        ),
        source,
    )
    pieces: list[tuple[bool, str, int]] = []
    position = 0
    trim_next = False
    for match in _ACTION.finditer(source):
        text = source[position : match.start()]
        if trim_next:
            text = text.lstrip()
        if match[1]:
            text = text.rstrip()
        if text:
            pieces.append((False, text, position))
        pieces.append((True, match[2], match.start(2)))
        trim_next = bool(match[3])
        position = match.end()
    text = source[position:]
    if "{{" in text:
        raise TemplateError("template: :1: unclosed action")
    if trim_next:
        text = text.lstrip()
    if text:
        pieces.append((False, text, position))
    return pieces


def tokens_of(action: str, offset: int = 0) -> list[Token]:
    """The tokens of one action's inside, which begins at ``offset`` of the template."""
    tokens: list[Token] = []
    position = 0
    while position < len(action):
        match = _TOKEN.match(action, position)
        if match is None:
            raise TemplateError(f'template: :1: unexpected "{action[position]}" in operand')
        tokens.append((match.lastgroup or "space", match[0], offset + position))
        position = match.end()
    return tokens


def unquote(text: str) -> str:
    """The value of a string or character literal."""
    if text.startswith("`"):
        return text[1:-1]

    def value(match: "re.Match[str]") -> str:
        body = match[1]
        if body[0] in "xuU":
            return chr(int(body[1:], 16))
        if body.isdigit():
            return chr(int(body, 8))
        return _ESCAPES.get(body, body)

    return _ESCAPE.sub(value, text[1:-1])
