"""What docker CLI 28.2 printed for the same templates."""

import pytest

from wherry.cli.output import format_rows
from wherry.cli.template import Template, strict_map
from wherry.cli.template_lexer import TemplateError

DATA = {
    "Id": "e929730b",
    "Name": "/c1",
    "State": {"Status": "running", "Running": True, "Pid": 0},
    "Config": {
        "Env": ["PATH=/bin", "A=1"],
        "Cmd": ["sh", "-c"],
        "Labels": {"c": "d<e", "a": "b"},
        "Tty": False,
        "User": None,
    },
    "Mounts": [],
    "Size": 1.5,
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("{{.State.Status}}", "running"),
        ("{{.Config.Env}} {{.Config.Labels}} {{.Mounts}}", "[PATH=/bin A=1] map[a:b c:d<e] []"),
        ("{{json .Config.Labels}}", '{"c":"d<e","a":"b"}'),
        ("{{json .Config.User}} {{.Config.User}}", "null <no value>"),
        ("{{len .Mounts}} {{len .Id}}", "0 8"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=b;c=d<e;"),
        ("{{range .Config.Env}}[{{.}}]{{end}}", "[PATH=/bin][A=1]"),
        ("{{range .Mounts}}x{{else}}none{{end}}", "none"),
        ("{{range $i, $e := .Config.Cmd}}{{if $i}},{{end}}{{$e}}{{end}}", "sh,-c"),
        ("{{range .Config.Env}}{{if eq . \"A=1\"}}{{break}}{{end}}{{.}}{{end}}", "PATH=/bin"),
        ("{{with .State}}{{.Running}}{{end}}", "true"),
        ("{{with .Config.User}}x{{else}}{{$.Name}}{{end}}", "/c1"),
        ("{{if and .Config.Tty true}}x{{else if .State.Running}}y{{else}}z{{end}}", "y"),
        ("{{if or .Config.Tty .State.Running}}x{{end}}{{if not .Config.Tty}}n{{end}}", "xn"),
        ("{{index .Config.Env 0}} {{index .Config.Labels \"a\"}}", "PATH=/bin b"),
        ("{{join .Config.Cmd \"|\"}} {{upper \"a\"}}{{lower \"B\"}} {{title \"abc\"}}", "sh|-c Ab Abc"),
        ("{{.Name | printf \"%q\"}}", '"/c1"'),
        ("{{printf \"%-6s|%5d|%05d|%.2f|%v|%%\" \"ab\" 3 42 1.5 true}}", "ab    |    3|00042|1.50|true|%"),
        ("{{slice .Id 0 3}} {{println \"x\" 1}}", "e92 x 1\n"),
        ("{{$x := .Name}}{{$x}}{{$x = \"y\"}}{{$x}}", "/c1y"),
        ("a {{- .Id -}} b", "ae929730bb"),
        ("{{/* note */}}x", "x"),
        ("{{(index .Config.Env 1)}} {{eq .State.Pid 0}} {{ne .Name \"x\"}} {{lt 1 2}} {{eq .Name \"a\" \"/c1\"}}", "A=1 true true true true"),
        ("{{split \"a,b\" \",\"}} {{`raw\\n`}} {{\"t\\tb\"}}", "[a b] raw\\n t\tb"),
        ("{{.Size}} {{pad \"x\" 1 2}}|{{truncate \"abcdef\" 3}}", "1.5  x  |abc"),
    ],
)  # fmt: skip
def test_templates_render_as_gos(source: str, text: str) -> None:
    assert Template(source).render(DATA) == text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.State.Foo}}", 'template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'),
        ("{{index .Config.Env 9}}", 'template: :1:2: executing "" at <index .Config.Env 9>: error calling index: index out of range: 9'),
        ("{{foo}}", 'template: :1: function "foo" not defined'),
        ("{{.Id", "template: :1: unclosed action"),
        ("{{range .Mounts}}", "template: :1: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
    ],
)  # fmt: skip
def test_a_wrong_template_is_reported_in_gos_words(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as failure:
        Template(source, strict_map).render(DATA)
    assert failure.value.message == message


ROWS = [{"ID": "1", "Name": "a&b", "Label": {"k": "v"}.get}, {"ID": "22", "Name": "c", "Label": lambda name: ""}]
HEADERS = {"ID": "THE ID", "Name": "NAME"}


def _format(form: str) -> str:
    return format_rows(ROWS, ("ID", "Name"), HEADERS, form, "*formatter.X")


def test_rows_take_every_format() -> None:
    assert _format("") == _format("table") == "THE ID    NAME\n1         a&b\n22        c\n"
    assert _format("{{.ID}}\\t{{.Name}}") == "1\ta&b\n22\tc\n"
    assert _format('table {{.Name}}\\t{{.Label "k"}}') == "NAME      k\na&b       v\nc         \n"
    assert _format("json") == _format("{{json .}}") == '{"ID":"1","Name":"a\\u0026b"}\n{"ID":"22","Name":"c"}\n'
    with pytest.raises(TemplateError, match=r"can't evaluate field Foo in type \*formatter.X"):
        _format("{{.Foo}}")
