"""Rows in the form that ``--format`` asks for: a table, a table of a template, JSON, or a template."""

from wherry.cli.app import App
from wherry.cli.table import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Row = dict[str, Any]


class Record(dict):  # type: ignore[type-arg]
    """One row: field → value, or a function for a method (``.Label "x"``). Its JSON is sorted, without methods."""


FORMAT_HELP = (
    "Format output using a custom template:\n"
    "'table':            Print output in table format with column headers (default)\n"
    "'table TEMPLATE':   Print output in table format using the given Go template\n"
    "'json':             Print in JSON format\n"
    "'TEMPLATE':         Print output using the given Go template.\n"
    "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"
)
INSPECT_FORMAT_HELP = FORMAT_HELP.replace(
    "'table':            Print output in table format with column headers (default)\n"
    "'table TEMPLATE':   Print output in table format using the given Go template\n",
    "",
)


def print_rows(
    app: App,
    rows: "Sequence[Row]",
    columns: "Sequence[str]",
    headers: "Mapping[str, str]",
    form: str,
    type_name: str,
    *,
    complaints: tuple[str, str] = ("template parsing error", "template parsing error"),
) -> None:
    """Print ``rows`` (field → text, or a function for a method such as ``.Label "x"``).

    ``columns`` are the fields of the plain table, ``headers`` their titles; ``type_name`` is Go's, for messages;
    ``complaints`` begin those about a template that cannot be parsed and one that cannot be executed.
    """
    text = format_rows(rows, columns, headers, form, type_name, complaints=complaints)
    if text:
        app.out(text[:-1])


def format_rows(
    rows: "Sequence[Row]",
    columns: "Sequence[str]",
    headers: "Mapping[str, str]",
    form: str,
    type_name: str,
    *,
    complaints: tuple[str, str] = ("template parsing error", "template parsing error"),
) -> str:
    form = form.strip()
    if form in ("", "table"):
        return layout([[headers[name] for name in columns], *([str(row[name]) for name in columns] for row in rows)])
    rows = [Record(sorted(row.items())) for row in rows]
    if form == "json":
        return "".join(_json_line(row) for row in rows)
    from wherry.cli.template import Template, strict_type

    titled = form.startswith("table ")
    source = (form[6:].strip() if titled else form).replace("\\t", "\t").replace("\\n", "\n")
    template = _parse(source, strict_type(type_name), complaints[0])
    lines = [_render(template, row, complaints[1]) for row in rows]
    if not titled:
        return "".join(f"{line}\n" for line in lines)
    # A column without a title of its own has an empty one, as Docker's header context.
    title = Template(source).render({**dict.fromkeys(rows[0] if rows else (), ""), **headers, "Label": _label_title})
    cells = [line.split("\t") for line in [title.replace("<no value>", ""), *lines]]
    return layout(cells)


def _label_title(name: str) -> str:
    """The title of ``{{.Label "com.example.my-key"}}`` is ``my key``."""
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


def _parse(source: str, missing: "Any", complaint: str) -> "Any":
    from wherry.cli.template import Template
    from wherry.cli.template_lexer import TemplateError

    try:
        return Template(source, missing)
    except TemplateError as exc:
        raise TemplateError(f"{complaint}: {exc.message}") from None


def _render(template: "Any", row: "Row", complaint: str) -> str:
    from wherry.cli.template_lexer import TemplateError

    try:
        text: str = template.render(row)
    except TemplateError as exc:
        raise TemplateError(f"{complaint}: {exc.message}") from None
    return text


def _json_line(row: "Row") -> str:
    from wherry.cli.template_functions import compact_json

    return compact_json(row) + "\n"
