"""Go's text/template over plain data: what ``--format`` takes. Types are JSON's, so a map stands for a struct."""

from collections.abc import Callable
from typing import Any

from wherry.cli.template_functions import FUNCTIONS, compact_json, show, truth
from wherry.cli.template_lexer import TemplateError
from wherry.cli.template_parser import (
    Action,
    Block,
    Dot,
    Field,
    Function,
    Jump,
    Literal,
    Node,
    Operand,
    Pipeline,
    Text,
    Variable,
    parse_template,
)
from wherry.cli.typed_nils import MAPS, ZEROS

# What a missing key means: the complaint about the key's name, or None for Go's ``<no value>``.
Missing = Callable[[str], str | None]


def lenient(name: str) -> str | None:
    """A missing key is ``<no value>``."""
    return None


def strict_map(name: str) -> str | None:
    """A missing key is an error, in the words of ``missingkey=error``."""
    return f'map has no entry for key "{name}"'


def strict_type(type_name: str) -> Missing:
    """A missing key is an error, in the words for a struct of that type."""
    return lambda name: f"can't evaluate field {name} in type {type_name}"


_KNOWN = frozenset((*FUNCTIONS, "and", "or"))


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Template:
    """A parsed template; ``render`` may be called for many values."""

    def __init__(self, source: str, missing: Missing = lenient, *, typed: bool = False) -> None:
        """``typed``: nulls and absent members are what Go's types make of them (``typed_nils``)."""
        self._nodes = parse_template(source, _KNOWN)
        self._missing = missing
        self._typed = typed

    def render(self, data: Any) -> str:
        output: list[str] = []
        _Run(self._missing, data, output, typed=self._typed).nodes(self._nodes, data, {"$": data})
        return "".join(output)


class _Run:
    def __init__(self, missing: Missing, root: Any, output: list[str], *, typed: bool) -> None:
        self._zeros = ZEROS if typed else {}
        self._missing = missing
        self._root = root
        self._output = output

    def nodes(self, nodes: tuple[Node, ...], dot: Any, scope: dict[str, Any]) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self._output.append(node.text)
            elif isinstance(node, Action):
                value = self._pipeline(node.pipeline, dot, scope)
                if not node.pipeline.names:
                    self._output.append(show(value))
            elif isinstance(node, Jump):
                raise _Break if node.kind == "break" else _Continue
            else:
                self._block(node, dot, scope)

    def _block(self, block: Block, dot: Any, scope: dict[str, Any]) -> None:
        inner = dict(scope)
        if block.kind == "range":
            self._range(block, dot, inner)
        else:
            value = self._pipeline(block.pipeline, dot, inner)
            chosen = block.body if truth(value) else block.otherwise
            self.nodes(chosen, value if block.kind == "with" and truth(value) else dot, inner)
        # Only what the outer scope knows flows back (``$x = …``).
        for name in scope:
            scope[name] = inner[name]

    def _range(self, block: Block, dot: Any, scope: dict[str, Any]) -> None:
        bare = Pipeline(block.pipeline.commands)
        value = self._pipeline(bare, dot, scope)
        if isinstance(value, dict):
            pairs = [(key, value[key]) for key in sorted(value)]
        elif isinstance(value, (list, tuple)):
            pairs = list(enumerate(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs = [(number, number) for number in range(value)]
        elif value is None:
            pairs = []
        else:
            raise TemplateError(f"range can't iterate over {show(value)}")
        if not pairs:
            self.nodes(block.otherwise, dot, scope)
            return
        names = block.pipeline.names
        for key, item in pairs:
            if len(names) == 1:
                scope[names[0]] = item
            elif names:
                scope[names[0]], scope[names[1]] = key, item
            try:
                self.nodes(block.body, item, scope)
            except _Continue:
                continue
            except _Break:
                break

    def _pipeline(self, pipeline: Pipeline, dot: Any, scope: dict[str, Any]) -> Any:
        value: Any = None
        for position, command in enumerate(pipeline.commands):
            piped = (value,) if position else ()
            value = self._command(command, piped, dot, scope)
        for name in pipeline.names:
            if not pipeline.declares and name not in scope:
                raise TemplateError(f'template: :1: undefined variable "{name}"')
            scope[name] = value
        return value

    def _command(self, operands: tuple[Operand, ...], piped: tuple[Any, ...], dot: Any, scope: dict[str, Any]) -> Any:
        head, *rest = operands
        if isinstance(head, Function) and head.name in ("and", "or"):
            return self._shortcut(head.name, rest, piped, dot, scope)
        arguments = [self._value(operand, dot, scope) for operand in rest] + list(piped)
        if isinstance(head, Function):
            return _call(head, FUNCTIONS[head.name], arguments, operands)
        value = self._value(head, dot, scope, call=False)
        if callable(value):
            return _call(head, value, arguments, operands)
        if arguments:
            raise _failure(head, operands, "can't give argument to non-function " + _source(head))
        return value

    def _shortcut(
        self, name: str, operands: list[Operand], piped: tuple[Any, ...], dot: Any, scope: dict[str, Any]
    ) -> Any:
        value: Any = None
        for operand in [*operands, *(Literal(item) for item in piped)]:
            value = self._value(operand, dot, scope)
            if truth(value) == (name == "or"):
                return value
        return value

    def _value(self, operand: Operand, dot: Any, scope: dict[str, Any], *, call: bool = True) -> Any:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Dot):
            return dot
        if isinstance(operand, Variable):
            if operand.name not in scope:
                raise TemplateError(f'template: :1: undefined variable "{operand.name}"')
            return scope[operand.name]
        if isinstance(operand, Pipeline):
            return self._pipeline(operand, dot, scope)
        if isinstance(operand, Function):
            return self._command((operand,), (), dot, scope)
        value = self._field(operand, dot, scope)
        return value() if call and callable(value) else value

    def _field(self, field: Field, dot: Any, scope: dict[str, Any]) -> Any:
        of = self._value(field.of, dot, scope)
        complaint: str | None
        if isinstance(of, dict):
            value = of.get(field.name)
            if value is None and field.name in self._zeros:
                return self._zeros[field.name]
            if field.name in of or (self._zeros and isinstance(field.of, Field) and field.of.name in MAPS):
                return value
            complaint = self._missing(field.name)
            if complaint is None:
                return None
        elif of is None:
            complaint = f'nil data; no entry for key "{field.name}"'
        else:
            complaint = f"can't evaluate field {field.name} in type {_go_type(of)}"
        raise _failure(field, (field,), complaint)


def _source(operand: Operand) -> str:
    """An operand as it was written, more or less: for messages."""
    if isinstance(operand, Field):
        return f"{_source(operand.of)}.{operand.name}" if not isinstance(operand.of, Dot) else f".{operand.name}"
    if isinstance(operand, (Variable, Function)):
        return operand.name
    if isinstance(operand, Literal):
        return compact_json(operand.value)
    if isinstance(operand, Pipeline):
        return "(" + " | ".join(" ".join(map(_source, command)) for command in operand.commands) + ")"
    return "."


def _failure(at: Operand, operands: tuple[Operand, ...], complaint: str) -> TemplateError:
    offset = at.offset if isinstance(at, (Field, Function)) else 2
    return TemplateError(f'template: :1:{offset}: executing "" at <{" ".join(map(_source, operands))}>: {complaint}')


def _go_type(value: Any) -> str:
    if isinstance(value, list):
        return "[]interface {}"
    return {"str": "string", "bool": "bool", "int": "int", "float": "float64"}.get(
        type(value).__name__, "interface {}"
    )


def _call(at: Operand, function: Callable[..., Any], arguments: list[Any], operands: tuple[Operand, ...]) -> Any:
    name = _source(at)
    try:
        return function(*arguments)
    except TemplateError as exc:
        raise _failure(at, operands, f"error calling {name}: {exc.message}") from None
    except (TypeError, AttributeError, ValueError, KeyError) as exc:
        raise _failure(at, operands, f"error calling {name}: {exc}") from None
