"""docker-py's own integration tests against Debian's dockerd and against wherry (``make docker-py-suite``).

The archive comes from PyPI and is not part of this repository. Exit status 1 when wherry passes less than 98% of
what dockerd passes here, or fails a test that ``docs/compatibility.md`` does not name. ::

    python -m tests.docker_py_suite [--only wherry|dockerd] [--work DIRECTORY] [pytest arguments]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.docker_py_suite import hub, source

_WANTED = 0.98
_ENGINES = ("dockerd", "wherry")
_COMPATIBILITY = Path(__file__).parents[2] / "docs" / "compatibility.md"


def main() -> int:
    """Run, compare, report."""
    parser = argparse.ArgumentParser(prog="docker-py-suite")
    parser.add_argument("--only", choices=_ENGINES)
    parser.add_argument("--work", type=Path, help="keep the archive and its virtual environment there")
    options, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="wherry-docker-py-") as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        source.prepare(work.absolute())
        hub.root_file_system(work.absolute())
        outcomes = {
            engine: _outcomes(engine, work.absolute(), Path(temporary) / f"{engine}.xml", rest)
            for engine in ([options.only] if options.only else _ENGINES)
        }
    if options.only:
        _print_counts(options.only, outcomes[options.only])
        return int("failed" in outcomes[options.only].values())
    return _compare(outcomes["dockerd"], outcomes["wherry"])


def _outcomes(engine: str, work: Path, report: Path, arguments: list[str]) -> dict[str, str]:
    """``class::test`` → passed, failed or skipped. The engine and its registry live in their own network namespace."""
    print(f"== docker-py's tests against {engine}", flush=True)
    subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.docker_py_suite.run", engine, str(work), str(report),
         *arguments],
        check=False,
    )  # fmt: skip
    result = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('tests.integration.')}::{case.get('name')}"
        kinds = {child.tag for child in case}
        result[name] = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
    return result


def _print_counts(engine: str, outcomes: dict[str, str]) -> None:
    counted = {kind: list(outcomes.values()).count(kind) for kind in ("passed", "failed", "skipped")}
    print(f"{engine}: {counted['passed']} passed, {counted['failed']} failed, {counted['skipped']} skipped "
          f"of {len(outcomes)}")  # fmt: skip


def _compare(theirs: dict[str, str], ours: dict[str, str]) -> int:
    passed = {name for name, outcome in theirs.items() if outcome == "passed"}
    missing = sorted(name for name in passed if ours.get(name) != "passed")
    named = _COMPATIBILITY.read_text(encoding="utf-8")
    unnamed = [name for name in missing if name.rpartition("::")[2] not in named]
    _print_counts("dockerd", theirs)
    _print_counts("wherry", ours)
    for name in missing:
        print(f"  passes on dockerd, not here: {name}" + (" (not named in docs)" if name in unnamed else ""))
    for name in sorted(name for name, outcome in ours.items() if outcome == "passed" and name not in passed):
        print(f"  passes here, not on dockerd: {name}")
    share = 1 - len(missing) / max(1, len(passed))
    print(f"wherry passes {share:.1%} of what dockerd passes ({_WANTED:.0%} wanted)")
    return int(share < _WANTED or bool(unnamed))


if __name__ == "__main__":
    sys.exit(main())
