"""S31: whatever the bytes, wherry lists what GNU tar lists, or refuses. GNU tar itself is the oracle."""

import io
import re
import stat
import subprocess
from datetime import UTC, datetime

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.snapshots.raw_tar import GNU, USTAR, V7, archive, file, header, long_name, padded, pax, record
from wherry.snapshots.snapshotter import LayerRejected
from wherry.snapshots.tar_fields import clean_path
from wherry.snapshots.tar_reader import HARDLINK, TarReader

_LINE = re.compile(
    rb"(?P<type>.)(?P<mode>[-rwxsStT]{9}) (?P<uid>\d+)/(?P<gid>\d+) +(?P<size>[\d,]+) (?P<time>[-\d]+ [:\d]+) (?P<rest>.*)"
)
_TYPE = {
    stat.S_IFREG: b"-",
    HARDLINK: b"h",
    stat.S_IFLNK: b"l",
    stat.S_IFCHR: b"c",
    stat.S_IFBLK: b"b",
    stat.S_IFDIR: b"d",
    stat.S_IFIFO: b"p",
}

Listing = list[tuple[bytes, ...]]


def _unescape(text: bytes) -> bytes:
    names = {b"n": b"\n", b"t": b"\t", b"\\": b"\\", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}

    def one(match: re.Match[bytes]) -> bytes:
        token = match[1]
        return names[token] if token in names else bytes([int(token, 8)])

    return re.sub(rb"\\([0-7]{3}|.)", one, text)


def _gnu(data: bytes) -> Listing | None:
    """GNU tar's listing; None when it reports an error."""
    done = subprocess.run(
        ["tar", "-tvf", "-", "-P", "--numeric-owner", "--full-time", "--quoting-style=escape"],
        input=data,
        capture_output=True,
        env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        check=False,
        timeout=20,
    )
    if done.returncode:
        return None
    listing: Listing = []
    for line in done.stdout.splitlines():
        match = _LINE.fullmatch(line)
        assert match, line
        kind, rest, link = match["type"].replace(b"C", b"-"), match["rest"], b""  # C: contiguous, a plain file
        if kind == b"l":
            rest, _, link = rest.partition(b" -> ")
        elif kind == b"h":
            rest, _, link = rest.partition(b" link to ")
            link = clean_path(_unescape(link))
        name = clean_path(_unescape(rest))
        link = _unescape(link) if kind == b"l" else link
        listing.append((kind, match["mode"], match["uid"], match["gid"], match["size"], match["time"], name, link))
    return listing


def _ours(data: bytes) -> Listing | None:
    listing: Listing = []
    try:
        for entry in TarReader(io.BytesIO(data)):
            kind = _TYPE[entry.file_type]
            size = b"%d,%d" % entry.device if kind in (b"c", b"b") else b"%d" % entry.size
            seconds = entry.mtime_ns // 10**9
            try:
                time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S").encode()
            except (ValueError, OverflowError, OSError):
                return None  # beyond what this test can print
            mode = stat.filemode(entry.mode)[1:].encode()
            listing.append(
                (kind, mode, b"%d" % entry.uid, b"%d" % entry.gid, size, time, entry.path, entry.link)
            )  # fmt: skip
    except LayerRejected:
        return None
    return listing


def _number(width: int) -> st.SearchStrategy[bytes]:
    """A numeric field in every dress: octal with all terminators, base-256, garbage."""
    octal = st.integers(0, 2048).map(lambda n: b"%o" % n)
    return st.one_of(
        octal.map(lambda d: d.rjust(width - 1, b"0") + b"\0"),
        octal.map(lambda d: d.rjust(width - 1, b" ") + b"\0"),
        octal.map(lambda d: d.rjust(width, b"0")),
        octal.map(lambda d: d.ljust(width, b" ")),
        octal.map(lambda d: d.ljust(width, b"\0")),
        octal.map(lambda d: (d + b" 7").ljust(width, b"\0")),
        octal.map(lambda d: (d + b"\x007").ljust(width, b"\0")),
        octal.map(lambda d: (b"\0" + d).ljust(width, b"\0")),
        octal.map(lambda d: (b"-" + d).ljust(width, b"\0")),
        st.integers(0, 4096).map(lambda n: b"\x80" + n.to_bytes(width - 1, "big")),
        st.integers(0, 1 << 40).map(lambda n: b"\x80" + (n % (1 << 8 * (width - 1))).to_bytes(width - 1, "big")),
        st.binary(min_size=width, max_size=width),
        st.just(bytes(width)),
    )


_NAME = st.one_of(
    st.sampled_from([b"a", b"a/b", b"./a", b"/a", b"a//b", b"a/", b"..", b".", b"a b", b"a\nb", b"\\", b"\xff\xfe"]),
    st.binary(min_size=0, max_size=100).filter(lambda name: b"\0" not in name),
)
_KEY = st.sampled_from(
    [b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"comment", b"GNU.sparse.size", b"GNU.sparse.name",
     b"GNU.sparse.numblocks", b"GNU.sparse.offset", b"GNU.sparse.numbytes", b"GNU.sparse.map", b"GNU.sparse.major",
     b"GNU.sparse.minor", b"GNU.sparse.realsize", b"SCHILY.xattr.user.x"]
)  # fmt: skip
_VALUE = st.one_of(
    st.sampled_from(
        [b"", b"0", b"1", b"3", b"512", b"1000", b"x", b"a/b", b"0,3", b"1.5", b"-1", b"+1", b" 1", b"01"]
    ),
    st.binary(max_size=12),
)
_PAX = st.tuples(st.lists(st.tuples(_KEY, _VALUE), max_size=4), st.sampled_from([b"x", b"x", b"x", b"g"])).map(
    lambda drawn: pax(*drawn[0], flag=drawn[1])
)
_LONG = st.tuples(_NAME.filter(len), st.sampled_from([b"L", b"K"])).map(lambda drawn: long_name(*drawn))


@st.composite
def _member(draw: st.DrawFn) -> bytes:
    raw: dict[int, bytes] = {}
    for offset, width in ((100, 8), (108, 8), (116, 8), (136, 12), (329, 8), (337, 8)):
        if draw(st.integers(0, 7)) == 0:
            raw[offset] = draw(_number(width))
    data = draw(st.sampled_from([b"", b"", b"x", b"data", bytes(512), b"y" * 600]))
    if draw(st.integers(0, 5)) == 0:
        raw[124] = draw(_number(12))
    if draw(st.integers(0, 15)) == 0:
        raw[draw(st.integers(0, 500))] = draw(st.binary(min_size=1, max_size=8))
    flag = draw(st.sampled_from([b"0", b"0", b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"7", b"S"]))
    magic = draw(st.sampled_from([USTAR, USTAR, GNU, V7]))
    link = draw(_NAME) if flag in b"12" else b""
    prefix = draw(st.sampled_from([b"", b"", b"pre", b"p/q/"]))
    size = len(data) if flag in b"07\0S" else 0
    block = header(draw(_NAME), flag, size=size, link=link, magic=magic, prefix=prefix, raw=raw)
    return block + (padded(data) if size else b"")


_ARCHIVE = st.tuples(
    st.lists(st.one_of(_member(), _member(), _PAX, _LONG), min_size=1, max_size=5),
    st.sampled_from([bytes(1024), bytes(1024), b"", bytes(512), bytes(512) + file(b"late")]),
).map(lambda drawn: archive(*drawn[0], end=drawn[1]))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_ARCHIVE)
@example(archive(pax((b"path", b"a")), long_name(b"b"), file(b"c")))
@example(archive(pax((b"size", b"512")), file(b"a", b"x" * 512), file(b"b")))
@example(archive(header(b"n" * 50 + b"\0" + b"m" * 49)))
@example(archive(header(b"link", b"1", size=512, link=b"a"), file(b"a")))
@example(archive(header(b"dir", b"5", size=512), file(b"a", b"x" * 100)))
@example(archive(pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.size", b"1")), file(b"a")))
@example(archive(file(b"a"), end=bytes(512) + file(b"b") + bytes(1024)))
@example(archive(header(b"a", prefix=b"p", magic=GNU), header(b"a", prefix=b"p", magic=USTAR)))
@example(archive(pax(data=record(b"path", b"x") * 2), file(b"a")))
def test_s31_same_listing_as_gnu_tar_or_refused(data: bytes) -> None:
    ours = _ours(data)
    if ours is not None:
        assert ours == _gnu(data)


def test_s31_the_oracle_and_the_reader_agree_on_an_ordinary_archive() -> None:
    data = archive(file(b"a", b"x"), header(b"b\n", b"2", link=b"t"), header(b"c", b"1", link=b"a"))
    listing = _ours(data)
    assert listing is not None and len(listing) == 3 and listing == _gnu(data)
