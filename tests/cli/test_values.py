import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.cli import option_checks, values
from wherry.cli.csv_fields import split_fields
from wherry.cli.detach_keys import DetachFilter, parse_keys
from wherry.cli.device_values import check_device_rule, parse_device, parse_rate_device, parse_weight_device
from wherry.cli.mount_spec import parse_mount, parse_volume
from wherry.cli.port_spec import parse_exposed, parse_published
from wherry.cli.ports import display_ports
from wherry.cli.reference import familiar, reference_error, split_reference
from wherry.cli.table import layout
from wherry.cli.text import ellipsis, go_quote
from wherry.cli.timestamps import parse_time, rfc3339_nano, to_query
from wherry.cli.units import binary_size, human_duration, human_size, human_size_4
from wherry.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("1k", 1024),
        ("1.5g", 3 << 29),
        ("2GiB", 2 << 30),
        ("3 MB", 3 << 20),
        ("7b", 7),
        ("1T", 1 << 40),
    ],
)
def test_sizes_are_binary(text: str, size: int) -> None:
    assert values.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "abc", "-5", "1x", "1kk", "k", "1 2", "ib"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^invalid size: '{text}'$"):
        values.parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("1s", 10**9), ("1m30s", 90 * 10**9), ("1.5h", 5400 * 10**9), ("100ms", 10**8), ("-2us", -2000), ("0", 0)],
)
def test_durations_are_gos(text: str, nanoseconds: int) -> None:
    assert values.parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", 'time: missing unit in duration "5"'),
        ("x", 'time: invalid duration "x"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("", 'time: invalid duration ""'),
    ],
)
def test_what_is_no_duration_is_refused_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as failure:
        values.parse_duration(text)
    assert str(failure.value) == message


def test_cpus_are_exact_in_billionths() -> None:
    assert [values.parse_nano_cpus(text) for text in ("1.5", "2", ".25", "1/4")] == [
        1500000000,
        2 * 10**9,
        250000000,
        250000000,
    ]
    with pytest.raises(ValueError, match="value is too precise"):
        values.parse_nano_cpus("1/3")
    with pytest.raises(ValueError, match="failed to parse abc as a rational number"):
        values.parse_nano_cpus("abc")


@pytest.mark.parametrize(
    ("spec", "bindings"),
    [
        ("80", {"80/tcp": [{"HostIp": "", "HostPort": ""}]}),
        ("8080:80/udp", {"80/udp": [{"HostIp": "", "HostPort": "8080"}]}),
        ("127.0.0.1::53/udp", {"53/udp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}),
        ("[::1]:80:80", {"80/tcp": [{"HostIp": "::1", "HostPort": "80"}]}),
        ("8000-8001:80-81", {"80/tcp": [{"HostIp": "", "HostPort": "8000"}], "81/tcp": [{"HostIp": "", "HostPort": "8001"}]}),
        ("8000-8010:80", {"80/tcp": [{"HostIp": "", "HostPort": "8000-8010"}]}),
        ("target=80,published=8080,protocol=udp", {"80/udp": [{"HostIp": "", "HostPort": "8080"}]}),
    ],
)  # fmt: skip
def test_published_ports(spec: str, bindings: dict[str, list[dict[str, str]]]) -> None:
    assert parse_published([spec]) == bindings


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("abc", "invalid containerPort: abc"),
        ("80000", "invalid containerPort: 80000"),
        ("x:80", "invalid hostPort: x"),
        ("1.2.3.4.5:80:80", "invalid IP address: 1.2.3.4.5"),
        ("80:", "no port specified: 80:<empty>"),
        ("80/foo", "invalid proto: foo"),
        ("1-2:80-90", "invalid ranges specified for container and host Ports: 80-90 and 1-2"),
        ("٣", "invalid containerPort: ٣"),
    ],
)
def test_a_wrong_port_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ValueError) as failure:
        parse_published([spec])
    assert str(failure.value) == message


def test_exposed_ports() -> None:
    assert parse_exposed(["80", "90-91/UDP"]) == ["80/tcp", "90/udp", "91/udp"]
    with pytest.raises(
        ValueError, match=r'invalid range format for --expose: foo, error: strconv.ParseUint: parsing "foo"'
    ):
        parse_exposed(["foo"])


def test_mounts() -> None:
    assert parse_mount("type=bind,source=/a,target=/b,readonly,bind-propagation=rslave") == {
        "Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True, "BindOptions": {"Propagation": "rslave"},
    }  # fmt: skip
    assert parse_mount("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770") == {
        "Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770},
    }  # fmt: skip
    assert parse_mount('src=v,dst=/v,"volume-opt=o=a,b"')["VolumeOptions"] == {
        "DriverConfig": {"Options": {"o": "a,b"}}
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=foo", "target is required"),
        ("type=bind,foo", "invalid field 'foo' must be a key=value pair"),
        ("target=/x,foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("type=tmpfs,target=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'tmpfs'"),
        ("target=/x,readonly=maybe", "invalid value for readonly: maybe"),
    ],
)
def test_a_wrong_mount_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as failure:
        parse_mount(text)
    assert str(failure.value) == message


def test_volumes() -> None:
    assert parse_volume("/a:/b:ro") == ("/a:/b:ro", "")
    assert parse_volume("./a:/b") == (f"{os.getcwd()}/a:/b", "")
    assert parse_volume("name:/b") == ("name:/b", "")
    assert parse_volume("/anonymous") == ("", "/anonymous")
    with pytest.raises(ValueError, match="invalid spec: /a:/b:xx:yy: too many colons"):
        parse_volume("/a:/b:xx:yy")


def test_quoted_fields() -> None:
    assert split_fields('a,"b,""c""",') == ["a", 'b,"c"', ""]
    with pytest.raises(ValueError, match='bare " in non-quoted-field'):
        split_fields('a"b')
    with pytest.raises(ValueError, match='extraneous or missing " in quoted-field'):
        split_fields('"a')


def test_devices() -> None:
    assert parse_device("/dev/a") == {"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rwm"}
    assert parse_device("/dev/a:r")["CgroupPermissions"] == "r"
    assert parse_device("/dev/a:/dev/b:rw") == {
        "PathOnHost": "/dev/a",
        "PathInContainer": "/dev/b",
        "CgroupPermissions": "rw",
    }
    with pytest.raises(ValueError, match="bad mode specified: zz"):
        parse_device("/dev/a:/dev/b:zz")
    assert parse_rate_device("/dev/a:1mb") == {"Path": "/dev/a", "Rate": 1 << 20}
    with pytest.raises(ValueError, match="invalid weight for device: /dev/a:5"):
        parse_weight_device("/dev/a:5")
    assert check_device_rule("c 1:* rwm") == "c 1:* rwm"
    with pytest.raises(ValueError, match="invalid device cgroup format 'c 1:3 rwq'"):
        check_device_rule("c 1:3 rwq")


def test_environment_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERRY_TEST_SET", "v")
    assert option_checks.check_env("WHERRY_TEST_SET") == "WHERRY_TEST_SET=v"
    assert option_checks.check_env("WHERRY_TEST_UNSET") == "WHERRY_TEST_UNSET"
    with pytest.raises(ValueError, match="invalid environment variable: =x"):
        option_checks.check_env("=x")


def test_ulimits() -> None:
    assert option_checks.parse_ulimit("nofile=10:20") == {"Name": "nofile", "Soft": 10, "Hard": 20}
    assert option_checks.parse_ulimit("core=-1") == {"Name": "core", "Soft": -1, "Hard": -1}
    with pytest.raises(ValueError, match="ulimit soft limit must be less than or equal to hard limit: 5 > 1"):
        option_checks.parse_ulimit("nofile=5:1")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (13_200, "13.2kB"), (7_800_000, "7.8MB"), (1_983_000, "1.98MB"), (10**9, "1GB")],
)
def test_human_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


def test_sizes_of_four_digits() -> None:
    assert human_size_4(1_983_990) == "1.984MB"
    assert binary_size(1_806_000) == "1.722MiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (150, "2 minutes"),
     (3600, "About an hour"), (7200, "2 hours"), (3 * 86400, "3 days"), (15 * 86400, "2 weeks"), (70 * 86400, "2 months"),
     (800 * 86400, "2 years")],
)  # fmt: skip
def test_human_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_times() -> None:
    assert parse_time("1970-01-01T00:00:00Z") == 0
    assert parse_time("2024-02-29T12:30:00.5+02:00") == 1709202600.5
    assert to_query("2024-02-29T12:30:00.123456789Z") == "1709209800.123456789"
    assert to_query("1m", now=1000.0) == "940.000000000"
    assert to_query("1700000000.5") == "1700000000.5"
    assert to_query("") == ""
    with pytest.raises(ValueError, match='failed to parse value as time or duration: "foo"'):
        to_query("foo")
    assert rfc3339_nano(1_709_209_800_123_456_789).endswith("00.123456789Z") or "+" in rfc3339_nano(0)


def test_the_ports_column_joins_neighbours() -> None:
    ports = [
        {"PrivatePort": 9001, "Type": "tcp"},
        {"PrivatePort": 9000, "Type": "tcp"},
        {"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"},
        {"PrivatePort": 80, "PublicPort": 8080, "IP": "::", "Type": "tcp"},
        {"PrivatePort": 81, "PublicPort": 81, "IP": "0.0.0.0", "Type": "tcp"},
        {"PrivatePort": 82, "PublicPort": 82, "IP": "0.0.0.0", "Type": "tcp"},
    ]
    assert display_ports(ports) == (
        "0.0.0.0:81-82->81-82/tcp, 9000-9001/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    )


def test_references() -> None:
    assert split_reference("host:5000/a/b") == ("host:5000/a/b", "")
    assert split_reference("host:5000/a/b:t") == ("host:5000/a/b", "t")
    assert split_reference("a@sha256:12") == ("a", "sha256:12")
    assert familiar("docker.io/library/busybox") == "busybox:latest"
    assert familiar("r.example/x:1") == "r.example/x:1"
    assert reference_error("Foo") == "invalid reference format: repository name (library/Foo) must be lowercase"
    assert reference_error("LOCAL.example/foo") is None
    assert reference_error("-foo") == "invalid reference format"


def test_table_columns_are_tabwriters() -> None:
    assert layout([["NAME", "ID"], ["a-long-name-here", "1"]]) == "NAME               ID\na-long-name-here   1\n"
    assert layout([["A", "B"]]) == "A         B\n"


def test_text_forms() -> None:
    assert ellipsis("sh -c 'echo out; echo err'", 20) == "sh -c 'echo out; ec…"
    assert go_quote('a"b\n\x01\\') == '"a\\"b\\n\\x01\\\\"'


def test_detach_keys() -> None:
    assert parse_keys("") == b"\x10\x11" and parse_keys("a,ctrl-[") == b"a\x1b"
    with pytest.raises(InvalidParameter, match="Invalid escape keys"):
        parse_keys("foo")


def test_a_begun_sequence_that_is_none_is_passed_on() -> None:
    keys = DetachFilter(b"\x10\x11")
    assert keys.feed(b"a\x10") == b"a"
    assert keys.feed(b"b") == b"\x10b"
    assert keys.feed(b"\x10\x10\x11c") == b"\x10" and keys.detached


@given(st.binary(max_size=60))
def test_what_is_typed_arrives_unless_it_is_the_sequence(data: bytes) -> None:
    keys = DetachFilter(b"\x10\x11")
    passed = b"".join(keys.feed(bytes([byte])) for byte in data)
    if not keys.detached:
        assert data.removesuffix(b"\x10") == passed or data == passed
