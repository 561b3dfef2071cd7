"""Devices by CDI files: what is applied to a container, and which files are believed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine_under_test import EngineUnderTest
from wherry.containers import cdi
from wherry.containers.cdi_spec import CdiFailed, is_qualified, read_devices
from wherry.containers.config import DeviceRequest
from wherry.errors import InvalidParameter, System

pytestmark = pytest.mark.privileged  # the files must be root's


def write(directory: Path, name: str = "a.json", kind: str = "vendor.com/test", **spec: Any) -> Path:
    directory.mkdir(mode=0o755, exist_ok=True)
    path = directory / name
    path.write_text(json.dumps({"cdiVersion": "0.6.0", "kind": kind, **spec}))
    path.chmod(0o644)
    return path


def device(name: str = "one", **edits: Any) -> dict[str, Any]:
    return {"name": name, "containerEdits": edits}


def bare_spec() -> dict[str, Any]:
    return {
        "process": {"env": ["A=old"], "user": {"additionalGids": [0]}},
        "linux": {"devices": [], "resources": {"devices": []}},
        "mounts": [],
    }


def request(*names: str) -> list[DeviceRequest]:
    return [DeviceRequest(driver="cdi", device_ids=list(names))]


def test_the_edits_of_the_device_and_of_its_file_are_made_once(tmp_path: Path) -> None:
    write(
        tmp_path / "cdi",
        devices=[device(env=["A=new"]), device("two", additionalGids=[0, 44])],
        containerEdits={"mounts": [{"hostPath": "/usr", "containerPath": "/u", "options": ["ro"]}]},
    )
    spec = bare_spec()
    cdi.apply(spec, request("vendor.com/test=one", "vendor.com/test=two"), [str(tmp_path / "cdi")])
    assert spec["process"] == {"env": ["A=new"], "user": {"additionalGids": [0, 44]}}
    assert spec["mounts"] == [{"type": "bind", "source": "/usr", "destination": "/u", "options": ["rbind", "ro"]}]


def test_a_later_directory_wins_and_one_directory_may_not_contradict_itself(tmp_path: Path) -> None:
    first, second = tmp_path / "etc", tmp_path / "run"
    write(first, devices=[device(env=["X=1"])])
    write(second, devices=[device(env=["X=2"])])
    spec = bare_spec()
    cdi.apply(spec, request("vendor.com/test=one"), [str(first), str(second), str(tmp_path / "none")])
    assert spec["process"]["env"] == ["A=old", "X=2"]
    write(second, "b.json", devices=[device()])
    with pytest.raises(CdiFailed, match=r"conflicting device 'vendor.com/test=one'"):
        read_devices([str(second)])


def _others_may_write(path: Path) -> None:
    path.chmod(0o664)


def _other_owner(path: Path) -> None:
    os.chown(path, 1000, 0)


def _open_directory(path: Path) -> None:
    path.parent.chmod(0o777)


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o644)


def _broken(path: Path) -> None:
    path.write_text('{"cdiVersion": "0.6.0", "kind": 7}')


@pytest.mark.parametrize("spoil", [_others_may_write, _other_owner, _open_directory, _link, _fifo, _broken])
def test_a_file_that_is_not_roots_own_word_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = write(tmp_path / "cdi", devices=[device(env=["X=1"])])
    assert "vendor.com/test=one" in read_devices([str(tmp_path / "cdi")])
    spoil(path)
    with pytest.raises(CdiFailed, match=str(tmp_path)):
        read_devices([str(tmp_path / "cdi")])


def test_what_is_not_there_is_told_with_the_remedy(tmp_path: Path) -> None:
    write(tmp_path / "cdi", "nvidia.yaml")
    directories = [str(tmp_path / "cdi")]
    with pytest.raises(
        CdiFailed, match=r"^CDI device injection failed: unresolvable CDI devices v.com/x=y$"
    ) as caught:
        cdi.apply(bare_spec(), request("v.com/x=y"), directories)
    assert caught.value.hint is not None and "--format=json" in caught.value.hint
    with pytest.raises(System, match=r'^could not select device driver "" with capabilities: \[\[gpu\]\]$'):
        cdi.apply(bare_spec(), [DeviceRequest(count=-1, capabilities=[["gpu"]])], directories)


def test_gpus_are_devices_of_a_kind_that_has_a_file(tmp_path: Path) -> None:
    write(tmp_path / "cdi", kind="amd.com/gpu", devices=[device(n, env=[f"G{n}=1"]) for n in ("0", "1", "all")])
    for asked, given in (
        ({"count": -1}, ["Gall=1"]),
        ({"count": 2}, ["G0=1", "G1=1"]),
        ({"device_ids": ["1"]}, ["G1=1"]),
    ):
        spec = bare_spec()
        requests = [DeviceRequest(capabilities=[["gpu"]], **asked)]
        cdi.check_requests(requests)
        cdi.apply(spec, requests, [str(tmp_path / "cdi")])
        assert spec["process"]["env"][1:] == given


def test_requests_that_nobody_serves_are_refused_at_the_creation() -> None:
    with pytest.raises(InvalidParameter, match=r'could not select device driver "" with capabilities: \[\[tpu\]\]'):
        cdi.check_requests([DeviceRequest(capabilities=[["tpu"]])])
    with pytest.raises(InvalidParameter, match="unresolvable CDI devices"):
        cdi.check_requests(request("../etc"))
    assert not is_qualified("vendor.com/a/b=c") and not is_qualified("=x") and is_qualified("v.com/c=0:1")


def test_a_device_in_a_container(make_engine: Callable[..., EngineUnderTest], tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat > {tmp_path}/state\n")
    hook.chmod(0o755)
    write(
        tmp_path / "cdi",
        devices=[
            device(
                env=["FROM_CDI=1"],
                deviceNodes=[{"path": "/dev/thing", "hostPath": "/dev/full", "permissions": "rw"}],
                mounts=[{"hostPath": str(hook), "containerPath": "/opt/vendor/tool", "options": ["ro", "bind"]}],
                hooks=[{"hookName": "createRuntime", "path": str(hook), "args": ["hook"], "timeout": 5}],
            )
        ],
    )
    engine = make_engine({"cdi-spec-dirs": [str(tmp_path / "cdi")]})
    look = "echo $FROM_CDI; test -c /dev/thing && echo x > /dev/thing; ls /opt/vendor"
    shown = engine.wherry("run", "--rm", "--device", "vendor.com/test=one", "busybox", "sh", "-c", look)
    assert shown.stdout == "1\ntool\n"
    assert "No space left on device" in shown.stderr
    assert json.loads((tmp_path / "state").read_text())["status"] == "creating"
    missing = engine.wherry("run", "--rm", "--device", "vendor.com/test=two", "busybox", "true", check=False)
    assert "CDI device injection failed: unresolvable CDI devices vendor.com/test=two" in missing.stderr
    assert missing.returncode == 125
    assert engine.wherry("info", "--format", "{{.CDISpecDirs}}").stdout == f"[{tmp_path / 'cdi'}]\n"
