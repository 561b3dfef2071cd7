"""The config.json of a container."""

from typing import Any

import pytest

from wherry.containers import defaults, mounts
from wherry.containers.config import (
    BindOptions,
    ContainerConfig,
    DeviceMapping,
    HostConfig,
    Mount,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)
from wherry.containers.container import Record
from wherry.containers.spec import SpecInputs, build_spec, cgroup_path
from wherry.containers.store import MIGRATIONS, Registry
from wherry.containers.user import User
from wherry.errors import InvalidParameter
from wherry.metadata.database import Database
from wherry.settings import Settings

ROOT = User(0, 0, (0, 10), "/root")


@pytest.fixture
def registry(tmp_path: Any) -> Registry:

    return Registry(Database(str(tmp_path / "db"), MIGRATIONS))


def build(
    registry: Registry, host: HostConfig | None = None, config: ContainerConfig | None = None, user: User = ROOT
) -> dict[str, Any]:
    host, config = host or HostConfig(), config or ContainerConfig(hostname="box")
    defaults.fill(host, Settings())
    record = Record(
        id="c" * 64, name="x", created_ns=1, image_id="sha256:0", chain_id="", platform="linux", path="sh", args=["-c"],
        config=config, host_config=host, mounts=mounts.collect(config, host, registry),
    )  # fmt: skip
    return build_spec(record, SpecInputs(Settings(), user, {"/etc/hosts": "/h"}))


def mount(spec: dict[str, Any], destination: str) -> dict[str, Any]:
    found = [entry for entry in spec["mounts"] if entry["destination"] == destination]
    assert len(found) == 1, f"{destination} is mounted {len(found)} times"
    entry: dict[str, Any] = found[0]
    return entry


def test_the_default_container_is_dockers(registry: Registry) -> None:
    spec = build(registry)
    assert {entry["type"] for entry in spec["linux"]["namespaces"]} == {
        "mount", "pid", "ipc", "uts", "network", "cgroup",
    }  # fmt: skip
    assert [entry["destination"] for entry in spec["mounts"]] == [
        "/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm", "/etc/hosts",
    ]  # fmt: skip
    assert "ro" in mount(spec, "/sys")["options"]
    assert "ro" in mount(spec, "/sys/fs/cgroup")["options"]
    assert "size=67108864" in mount(spec, "/dev/shm")["options"]
    assert spec["linux"]["resources"]["pids"] == {"limit": 2048}
    assert spec["linux"]["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
    assert len(spec["process"]["capabilities"]["bounding"]) <= 14
    assert spec["process"]["capabilities"]["inheritable"] == []
    assert spec["process"]["capabilities"]["ambient"] == []
    assert spec["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert spec["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"
    assert spec["hostname"] == "box"
    assert spec["process"]["env"] == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box", "HOME=/root",
    ]  # fmt: skip


def test_s50_a_user_that_is_not_root_has_no_effective_capability(registry: Registry) -> None:
    sets = build(registry, user=User(1000, 1000, (1000,), "/"))["process"]["capabilities"]
    assert sets["effective"] == sets["permitted"] == []
    assert sets["bounding"]


def test_s59_the_primary_group_is_in_the_spec(registry: Registry) -> None:
    assert build(registry)["process"]["user"]["additionalGids"] == [0, 10]


def test_privileged_is_unconfined(registry: Registry) -> None:
    spec = build(registry, HostConfig(privileged=True))
    assert "seccomp" not in spec["linux"]
    assert spec["linux"]["maskedPaths"] == []
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "ro" not in mount(spec, "/sys")["options"]
    assert any(node["path"] == "/dev/null" for node in spec["linux"]["devices"])


def test_s44_the_cgroup_lies_below_the_engines(registry: Registry) -> None:
    spec = build(registry, HostConfig(cgroup_parent="/team/a"))
    assert spec["linux"]["cgroupsPath"] == "/wherry/team/a/" + "c" * 64
    record = Record(
        id="d" * 64, name="", created_ns=0, image_id="", chain_id="", platform="", path="", args=[],
        config=ContainerConfig(), host_config=HostConfig(),
    )  # fmt: skip
    assert cgroup_path(Settings(), record) == "/wherry/" + "d" * 64


def test_modes_of_namespaces(registry: Registry) -> None:
    host = HostConfig(pid_mode="host", network_mode="host", ipc_mode="host", uts_mode="host", cgroupns_mode="host")
    spec = build(registry, host)
    assert spec["linux"]["namespaces"] == [{"type": "mount"}]
    assert "hostname" not in spec
    assert spec["linux"]["sysctl"] == {}
    host = HostConfig(pid_mode="container:other")
    defaults.fill(host, Settings())
    record = Record(
        id="c" * 64, name="x", created_ns=1, image_id="", chain_id="", platform="", path="sh", args=[],
        config=ContainerConfig(), host_config=host,
    )  # fmt: skip
    joined = build_spec(record, SpecInputs(Settings(), ROOT, {}, joined={"pid": 42}))
    assert {"type": "pid", "path": "/proc/42/ns/pid"} in joined["linux"]["namespaces"]


def test_resources(registry: Registry) -> None:
    host = HostConfig(
        memory=64 << 20, nano_cpus=1_500_000_000, cpuset_cpus="0", pids_limit=-1, oom_score_adj=5,
        ulimits=[Ulimit("nofile", -1, 100)], sysctls={"net.core.somaxconn": "5"},
    )  # fmt: skip
    spec = build(registry, host)
    resources = spec["linux"]["resources"]
    assert resources["memory"] == {"limit": 64 << 20, "swap": 128 << 20}
    assert resources["cpu"] == {"quota": 150_000, "period": 100_000, "cpus": "0"}
    assert resources["pids"] == {"limit": -1}
    assert spec["process"]["oomScoreAdj"] == 5
    assert spec["process"]["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": (1 << 64) - 1}]
    assert spec["linux"]["sysctl"]["net.core.somaxconn"] == "5"


def test_devices_and_their_rules(registry: Registry) -> None:
    host = HostConfig(
        devices=[DeviceMapping("/dev/null", "/dev/mine", "r")], device_cgroup_rules=["c 7:* rwm", "b 8:0 r"]
    )
    spec = build(registry, host)
    assert [node["path"] for node in spec["linux"]["devices"]] == ["/dev/mine"]
    assert spec["linux"]["resources"]["devices"][1:] == [
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"},
        {"allow": True, "type": "c", "major": 7, "access": "rwm"},
        {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "r"},
    ]


def test_binds_and_mounts(registry: Registry) -> None:
    host = HostConfig(
        binds=["/tmp:/a:ro", "/tmp:/b/c", "/tmp:/b"],
        mounts=[
            Mount("bind", "/tmp", "/m", read_only=True, bind_options=BindOptions(non_recursive=True)),
            Mount("tmpfs", "", "/t", tmpfs_options=TmpfsOptions(1 << 20, 0o700)),
        ],
        tmpfs={"/run": "size=1m"},
    )
    spec = build(registry, host)
    assert mount(spec, "/a")["options"] == ["rbind", "ro", "rro", "rprivate"]
    assert mount(spec, "/m")["options"] == ["bind", "ro", "rprivate"]
    assert mount(spec, "/t")["options"] == ["noexec", "nosuid", "nodev", "mode=700", "size=1048576"]
    assert mount(spec, "/run")["options"] == ["noexec", "nosuid", "nodev", "size=1m"]
    order = [entry["destination"] for entry in spec["mounts"]]
    assert order.index("/b") < order.index("/b/c")


def test_a_mount_takes_the_place_of_a_default_one(registry: Registry) -> None:
    spec = build(registry, HostConfig(binds=["/tmp:/dev/shm", "/tmp:/etc/hosts"]))
    assert mount(spec, "/dev/shm")["source"] == "/tmp"
    assert mount(spec, "/etc/hosts")["source"] == "/tmp"
    over_dev = [entry["destination"] for entry in build(registry, HostConfig(binds=["/dev:/dev"]))["mounts"]]
    assert over_dev.count("/dev") == 1
    assert "/dev/shm" not in over_dev


BAD_MOUNTS: list[tuple[HostConfig, str]] = [
    (HostConfig(binds=["/tmp:/a", "/tmp:/a"]), "^Duplicate mount point: /a$"),
    (HostConfig(binds=["/tmp:/a"], tmpfs={"/a": ""}), "^Duplicate mount point: /a$"),
    (
        HostConfig(binds=["x:y"]),
        "invalid volume specification: 'x:y': invalid mount config for type \"volume\": invalid mount path: 'y' mount",
    ),
    (HostConfig(binds=["/tmp:/"]), "destination can't be '/'"),
    (HostConfig(binds=["a/b:/x"]), "includes invalid characters for a local volume name"),
    (HostConfig(mounts=[Mount("bind", "/nosuch", "/x")]), "bind source path does not exist: /nosuch"),
    (HostConfig(mounts=[Mount("bind", "", "/x")]), 'invalid mount config for type "bind": field Source must not be'),
    (HostConfig(mounts=[Mount("tmpfs", "/x", "/y")]), "field Source must not be specified"),
    (HostConfig(mounts=[Mount("npipe", "/x", "/y")]), 'invalid mount config for type "npipe": mount type unknown'),
    (HostConfig(mounts=[Mount("volume", "", "/y", read_only=True)]), "must not set ReadOnly mode when using anony"),
    (
        HostConfig(mounts=[Mount("bind", "/tmp", "/y", volume_options=VolumeOptions())]),
        "field VolumeOptions must not",
    ),
    (HostConfig(tmpfs={"/t": "lowerdir=/etc"}), "invalid tmpfs option"),
]


@pytest.mark.parametrize(("host", "text"), BAD_MOUNTS)
def test_bad_mounts_have_dockers_texts(registry: Registry, host: HostConfig, text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        mounts.collect(ContainerConfig(), host, registry)


@pytest.mark.parametrize("destination", ["/proc", "/proc/self/attr", "/proc/sys"])
def test_s42_nothing_is_mounted_inside_proc(registry: Registry, destination: str) -> None:
    for host in (
        HostConfig(binds=[f"/tmp:{destination}"]),
        HostConfig(tmpfs={destination: ""}),
        HostConfig(mounts=[Mount("bind", "/tmp", destination)]),
    ):
        with pytest.raises(InvalidParameter, match="inside /proc"):
            mounts.collect(ContainerConfig(), host, registry)
    mounts.collect(ContainerConfig(), HostConfig(binds=["/tmp/cpuinfo:/proc/cpuinfo"]), registry)


@pytest.mark.parametrize("destination", ["", "/", "/..", "/x/..", "/proc", "/sys", "/../proc/self", "relative"])
def test_s17_an_image_volume_names_a_place_of_its_own(registry: Registry, destination: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid volume specification"):
        mounts.collect(ContainerConfig(volumes={destination: {}}), HostConfig(), registry)


def test_s17_dots_in_an_image_volume_stay_inside_the_root(registry: Registry) -> None:
    points = mounts.collect(ContainerConfig(volumes={"/../../etc": {}}), HostConfig(), registry)
    assert [point.destination for point in points] == ["/etc"]
    assert points[0].source == ""
