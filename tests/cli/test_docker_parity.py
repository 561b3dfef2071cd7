"""Every option of the docker CLI's commands is one of ours, with its short form and its kind (no daemon needed)."""

import re
import shutil
import subprocess

import pytest

from wherry.cli import main, registry

DOCKER = shutil.which("docker")
# What wherry does not have, and why: no content of it is reachable (Windows, swarm, checkpoints, image indexes).
ABSENT = {
    "checkpoint", "checkpoint-dir", "use-api-socket", "platform", "tree", "cluster", "availability", "group",
    "limit-bytes", "required-bytes", "secret", "sharing", "topology-preferred", "topology-required", "type",
    "config-from", "config-only", "ingress", "scope",
    # Of docker 20.10 only.
    "kubeconfig", "kernel-memory",
}  # fmt: skip
OURS = {"completion", "serve", "image bootstrap", "system service", "system stop"}
_LINE = re.compile(r"^ {2}(?:-(\w), | {4})--([\w-]+)(?: ([\w-]+))?(?: |$)")

PATHS = [name for name in registry.ROOT if name not in OURS] + [
    f"{group} {name}"
    for group, (table, _) in registry.GROUPS.items()
    for name in table
    if f"{group} {name}" not in OURS
]


@pytest.mark.peer
@pytest.mark.parametrize("path", PATHS)
def test_the_options_are_dockers(path: str) -> None:
    if DOCKER is None:
        pytest.fail("the docker CLI is not installed")
    text = subprocess.run(
        [DOCKER, *path.split(), "--help"], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    # Docker 28 renamed one; the old name is a hidden option here as there.
    theirs = {
        ({"time": "timeout"}.get(match[2], match[2]), match[1] or "", match[3] or "")
        for line in text.splitlines()
        if (match := _LINE.match(line))
    }
    group, _, name = path.rpartition(" ")
    table = registry.GROUPS[group][0] if group else registry.ROOT
    command = main.load(table[name])
    ours = {(option.name, option.short, option.metavar) for option in command.options}
    missing = {entry for entry in theirs - ours if entry[0] not in ABSENT}
    assert not missing
    assert f"Usage:  docker {path} {command.usage.partition(chr(10))[0]}".rstrip() in text
