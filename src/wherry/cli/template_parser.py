"""Go's text/template to a tree: text, actions, if, range, with, variables, pipelines."""

from collections.abc import Container
from typing import NamedTuple

from wherry.cli.template_lexer import TemplateError, Token, split_actions, tokens_of, unquote


class Text(NamedTuple):
    text: str


class Literal(NamedTuple):
    value: object


class Dot(NamedTuple):
    pass


class Variable(NamedTuple):
    name: str


class Function(NamedTuple):
    name: str
    offset: int


class Field(NamedTuple):
    """``of.name``."""

    of: "Operand"
    name: str
    offset: int


class Pipeline(NamedTuple):
    """Commands, each a list of operands; ``names`` get the value (``declares`` tells := from =)."""

    commands: "tuple[tuple[Operand, ...], ...]"
    names: tuple[str, ...] = ()
    declares: bool = True
    offset: int = 0


class Action(NamedTuple):
    pipeline: Pipeline


class Block(NamedTuple):
    """if, with and range: the pipeline, what to do, and otherwise."""

    kind: str
    pipeline: Pipeline
    body: "tuple[Node, ...]"
    otherwise: "tuple[Node, ...]"


class Jump(NamedTuple):
    """break and continue."""

    kind: str


_CONSTANTS: dict[str, object] = {"true": True, "false": False, "nil": None}
Operand = Literal | Dot | Variable | Function | Field | Pipeline
Node = Text | Action | Block | Jump


def parse_template(source: str, functions: Container[str]) -> tuple[Node, ...]:
    """The nodes of a template that may use ``functions``. Raises TemplateError."""
    parser = _Parser(split_actions(source), functions)
    nodes, end = parser.nodes()
    if end:
        raise TemplateError(f"template: :1: unexpected {{{{{end}}}}}")
    return nodes


class _Parser:
    def __init__(self, pieces: list[tuple[bool, str, int]], functions: Container[str]) -> None:
        self._pieces = pieces
        self._functions = functions
        self._position = 0

    def nodes(self) -> tuple[tuple[Node, ...], str]:
        """Nodes up to ``end`` or ``else`` (given back as written), or to the end of the text ('')."""
        nodes: list[Node] = []
        while self._position < len(self._pieces):
            is_action, text, offset = self._pieces[self._position]
            self._position += 1
            if not is_action:
                nodes.append(Text(text))
                continue
            action = text.strip()
            word, _, rest = action.partition(" ")
            if action == "end" or word == "else":
                return tuple(nodes), action
            if word in ("if", "with", "range"):
                nodes.append(self._block(word, rest, offset + text.index(rest) if rest else offset))
            elif action in ("break", "continue"):
                nodes.append(Jump(action))
            elif word in ("define", "template", "block"):
                raise TemplateError(f"template: :1: {word} is not supported in a format")
            else:
                nodes.append(Action(self._pipeline(text, offset)))
        return tuple(nodes), ""

    def _block(self, kind: str, source: str, offset: int) -> Block:
        pipeline = self._pipeline(source, offset)
        body, end = self.nodes()
        otherwise: tuple[Node, ...] = ()
        if end.startswith("else"):
            word, _, rest = end[4:].strip().partition(" ")
            if word in ("if", "with"):
                otherwise = (self._block(word, rest, offset),)
                return Block(kind, pipeline, body, otherwise)
            if word:
                raise TemplateError(f"template: :1: unexpected <{word}> in else")
            otherwise, end = self.nodes()
        if end != "end":
            raise TemplateError("template: :1: unexpected EOF")
        return Block(kind, pipeline, body, otherwise)

    def _pipeline(self, source: str, offset: int) -> Pipeline:
        tokens = tokens_of(source, offset)
        for kind, text, _ in tokens:
            if kind == "word" and text not in _CONSTANTS and text not in self._functions:
                raise TemplateError(f'template: :1: function "{text}" not defined')
        bare = [token for token in tokens if token[0] != "space"]
        names: tuple[str, ...] = ()
        declares = True
        marks = [text for _, text, _ in bare[:4]]
        for length in (2, 4):
            if len(marks) >= length and marks[length - 1] in (":=", "=") and bare[0][0] == "variable":
                names = tuple(text for kind, text, _ in bare[: length - 1] if kind == "variable")
                declares = marks[length - 1] == ":="
                cut = next(index for index, token in enumerate(tokens) if token[1] in (":=", "="))
                tokens = tokens[cut + 1 :]
                break
        commands, rest = _commands(tokens)
        if rest:
            raise TemplateError(f'template: :1: unexpected "{rest[0][1]}" in operand')
        return Pipeline(commands, names, declares, bare[0][2] if bare else offset)


def _commands(tokens: list[Token]) -> tuple[tuple[tuple[Operand, ...], ...], list[Token]]:
    """Commands up to an unmatched ``)``; what is left begins with it."""
    commands: list[tuple[Operand, ...]] = []
    operands: list[Operand] = []
    rest = tokens
    spaced = True
    while rest and rest[0][1] != ")":
        kind, text, offset = rest[0]
        if kind == "space":
            spaced = True
            rest = rest[1:]
            continue
        if text == "|":
            if not operands:
                raise TemplateError("template: :1: missing value for command")
            commands.append(tuple(operands))
            operands = []
            rest = rest[1:]
            spaced = True
            continue
        if kind == "field" and not spaced and operands:
            operands[-1] = Field(operands[-1], text[1:], offset)
            rest = rest[1:]
            continue
        operand, rest = _operand(rest)
        operands.append(operand)
        spaced = False
    if not operands:
        raise TemplateError("template: :1: missing value for command")
    commands.append(tuple(operands))
    return tuple(commands), rest


def _operand(tokens: list[Token]) -> tuple[Operand, list[Token]]:
    (kind, text, offset), rest = tokens[0], tokens[1:]
    if kind == "string":
        return Literal(unquote(text)), rest
    if kind == "char":
        return Literal(ord(unquote(text))), rest
    if kind == "number":
        is_float = "." in text or ("e" in text.lower() and "x" not in text.lower())
        return Literal(float(text) if is_float else int(text, 0)), rest
    if kind == "field":
        return Field(Dot(), text[1:], offset), rest
    if kind == "variable":
        return Variable(text), rest
    if kind == "word":
        return (Literal(_CONSTANTS[text]) if text in _CONSTANTS else Function(text, offset)), rest
    if text == ".":
        return Dot(), rest
    if text == "(":
        commands, rest = _commands(rest)
        if not rest:
            raise TemplateError("template: :1: unclosed left paren")
        return Pipeline(commands), rest[1:]
    raise TemplateError(f'template: :1: unexpected "{text}" in operand')
