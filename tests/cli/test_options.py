"""The messages are those that docker CLI 28.2 was seen to print."""

import pytest

from tests.cli.conftest import Run, lines
from wherry.cli import main, registry
from wherry.cli.command import Command
from wherry.cli.errors import FlagError, HelpWanted
from wherry.cli.options import Option, load_check, parse

TABLE = (
    Option("detach", "d", "bool"),
    Option("interactive", "i", "bool"),
    Option("tty", "t", "bool"),
    Option("env", "e", "list"),
    Option("name", "", "string"),
    Option("publish", "p", "list"),
    Option("count", "n", "int", default=-1),
    Option("gateway", "", "strings"),
    Option("net", "", "list", alias="env"),
    Option("time", "", "int", alias="count", deprecated="use --count instead"),
)


def test_short_options_combine_and_take_values_in_every_form() -> None:
    flags, args, _ = parse(TABLE, ["-dit", "-e", "A=1", "-eB=2", "-e=C=3", "-ite", "D", "--env=E=5", "x", "-d=false"])
    assert flags.flag("interactive") and flags.flag("tty") and not flags.flag("detach")
    assert flags.many("env") == ["A=1", "B=2", "C=3", "D", "E=5"]
    assert args == ["x"]


def test_options_end_at_the_first_argument_when_the_rest_is_the_containers() -> None:
    flags, args, _ = parse(TABLE, ["--name", "n", "image", "--name", "-d"], interspersed=False)
    assert flags.text("name") == "n"
    assert args == ["image", "--name", "-d"]


def test_two_dashes_end_the_options_and_one_is_an_argument() -> None:
    _, args, _ = parse(TABLE, ["-", "--", "-d", "--name"])
    assert args == ["-", "-d", "--name"]


def test_a_missing_option_has_its_default_and_is_not_changed() -> None:
    flags, _, _ = parse(TABLE, ["--gateway", "a,b", "--gateway=c"])
    assert flags.number("count") == -1 and not flags.changed("count") and flags.text("name") == ""
    assert flags.many("gateway") == ["a", "b", "c"]


def test_an_alias_sets_the_other_option_and_an_old_name_leaves_a_notice() -> None:
    flags, _, notices = parse(TABLE, ["--net", "x", "--time", "5"])
    assert flags.many("env") == ["x"] and flags.number("count") == 5
    assert notices == ["Flag --time has been deprecated, use --count instead"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--foo=1"], "unknown flag: --foo"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["-dZx"], "unknown shorthand flag: 'Z' in -Zx"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: 'e' in -e"),
        (["-de"], "flag needs an argument: 'e' in -e"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (["-d=maybe"], 'invalid argument "maybe" for "-d, --detach" flag: strconv.ParseBool: parsing "maybe": invalid syntax'),
        (["-n", "abc"], 'invalid argument "abc" for "-n, --count" flag: strconv.ParseInt: parsing "abc": invalid syntax'),
        (["-n", "9" * 20], f'invalid argument "{"9" * 20}" for "-n, --count" flag: strconv.ParseInt: parsing "{"9" * 20}": value out of range'),
    ],
)  # fmt: skip
def test_a_wrong_option_is_reported_as_pflag_does(argv: list[str], message: str) -> None:
    with pytest.raises(FlagError) as failure:
        parse(TABLE, argv)
    assert failure.value.message == message


@pytest.mark.parametrize(("argv", "deprecated"), [(["--help"], False), (["-h"], True), (["-dh", "x"], True)])
def test_help_is_wanted(argv: list[str], *, deprecated: bool) -> None:
    with pytest.raises(HelpWanted) as wanted:
        parse(TABLE, argv)
    assert wanted.value.deprecated is deprecated


def _all_commands() -> list[tuple[str, Command, str]]:
    entries = [(name, entry) for name, entry in registry.ROOT.items()]
    for group, (table, _) in registry.GROUPS.items():
        entries += [(f"{group} {name}", entry) for name, entry in table.items()]
    return [(path, main.load(entry), entry[2]) for path, entry in entries]


@pytest.mark.parametrize(("path", "command", "short"), [pytest.param(*row, id=row[0]) for row in _all_commands()])
def test_every_command_of_the_registry_is_whole(path: str, command: Command, short: str) -> None:
    assert command.short == short
    names = [option.name for option in command.options]
    shorts = [option.short for option in command.options if option.short]
    assert len(set(names)) == len(names) and len(set(shorts)) == len(shorts)
    for option in command.options:
        assert not option.check or callable(load_check(option.check))
        assert not option.alias or option.alias in names
        assert option.help or option.hidden


@pytest.mark.parametrize(
    ("argv", "code", "stderr"),
    [
        (["foo"], 1, "wherry: unknown command: wherry foo\n\nRun 'wherry --help' for more information\n"),
        (["run"], 1, "wherry: 'wherry run' requires at least 1 argument\n\nUsage:  wherry run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nSee 'wherry run --help' for more information\n"),
        (["run", "--foo", "x"], 125, "unknown flag: --foo\n\nUsage:  wherry run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'wherry run --help' for more information\n"),
        (["ps", "x"], 1, "wherry: 'wherry ps' accepts no arguments\n\nUsage:  wherry ps [OPTIONS]\n\nRun 'wherry ps --help' for more information\n"),
        (["tag", "a"], 1, "wherry: 'wherry tag' requires 2 arguments\n\nUsage:  wherry tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]\n\nRun 'wherry tag --help' for more information\n"),
        (["system", "foo"], 1, "wherry: unknown command: wherry system foo\n\nUsage:  wherry system\n\nRun 'wherry system --help' for more information\n"),
        (["--foo", "ps"], 125, "unknown flag: --foo\n\nUsage:  wherry [OPTIONS] COMMAND [ARG...]\n\nRun 'wherry --help' for more information\n"),
        (["help", "foo"], 1, "unknown help topic: foo\n"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_ends_as_dockers(wherry: Run, argv: list[str], code: int, stderr: str) -> None:
    outcome = wherry(*argv)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (code, "", stderr)


def test_the_version_is_one_line(wherry: Run) -> None:
    outcome = wherry("--version")
    assert outcome.code == 0 and outcome.stdout.startswith("wherry version ") and outcome.stdout.count("\n") == 1
    assert wherry("-v") == outcome


def test_help_wraps_at_80_columns_like_pflag(wherry: Run) -> None:
    assert wherry("stop", "--help").stdout == lines(
        "Usage:  wherry stop [OPTIONS] CONTAINER [CONTAINER...]",
        "",
        "Stop one or more running containers",
        "",
        "Aliases:",
        "  wherry container stop, wherry stop",
        "",
        "Options:",
        "  -s, --signal string   Signal to send to the container",
        "  -t, --timeout int     Seconds to wait before killing the container",
    )
    assert wherry("container", "ls", "--help").stdout.startswith("Usage:  wherry container ls [OPTIONS]\n")
    assert (
        "      --cgroupns string                  Cgroup namespace to use\n"
        "                                         (host|private)\n"
        "                                         'host':    Run the container in\n"
    ) in wherry("run", "--help").stdout
