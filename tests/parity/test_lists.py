"""``ps`` with its columns, formats and filters, ``port``, ``inspect``, ``system df`` and the prune commands."""

import pytest

from tests.parity.conftest import Compare
from tests.parity.script import Outcome, Side, parse

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

_FOUR = """
        ; create --name c1 --label a=b -p 8081:80 -p 127.0.0.1:8082:81/udp --expose 99 busybox sh -c 'a very long command line that is certainly truncated'
        ; run -d --name c2 --network none busybox sleep 100
        ; run --name c3 busybox sh -c 'exit 3'
        ; run -d --name c4 -p 8083:80 -P --expose 99 busybox sleep 100
        ; pause c4
"""
_DETAILED = (
    "run -d --name ii --label k=v -e A=b -w /tmp -u 1:1 --memory 64m --cpus 0.5 --restart on-failure:3 -v vv1:/v:ro "
    "--tmpfs /tf --cap-add chown --cap-drop KILL --ulimit nofile=100:200 --hostname hh --stop-signal INT --stop-timeout 3 "
    "--sysctl net.ipv4.ip_forward=1 --init --log-opt max-size=1m -p 8085:80 --add-host a:1.2.3.4 --dns 1.1.1.1 "
    "--device /dev/null:/dev/nn --pids-limit 50 --entrypoint sleep busybox 100"
)
SCRIPTS = {
    "ps": _FOUR
    + """
        ps
        ps -a
        ps -aq
        ps -l
        ps -n 2
        ps -n x
        ps -a --no-trunc
        ps -as
        ps -a --format '{{json .}}'
        ps -a --format '{{.ID}}\\t{{.Names}}\\t{{.Ports}}\\t{{.Networks}}\\t{{.Mounts}}\\t{{.Labels}}\\t{{.State}}\\t{{.LocalVolumes}}'
        ps -a --format 'table {{.Names}}\\t{{.Status}}\\t{{.RunningFor}}\\t{{.Size}}'
        ps -a --format '{{.Label "a"}}|{{.Names}}'
        ps -a --format 'table {{.Label "a"}}'
        ps --format '{{.Nosuch}}'
        ps --format '{{'
        port c4 80
        port c4 80/udp
        port c1
    """,
    "ps filters": _FOUR
    + """
        ps -q -f name=c
        ps -a -f name=^/c3$ --format '{{.Names}}'
        ps -a -f status=created --format '{{.Names}}'
        ps -a -f status=paused --format '{{.Names}}'
        ps -a -f status=nosuch
        ps -a -f exited=3 --format '{{.Names}}'
        ~ ps -a -f exited=x
        ps -a -f label=a --format '{{.Names}}'
        ps -a -f label=a=b --format '{{.Names}}'
        ps -a -f label=a=c --format '{{.Names}}'
        ps -a -f ancestor=busybox --format '{{.Names}}'
        ps -a -f ancestor=nosuch --format '{{.Names}}'
        ps -a -f before=c2 --format '{{.Names}}'
        ps -a -f since=c2 --format '{{.Names}}'
        ~ ps -a -f since=nosuch
        ps -a -f network=none --format '{{.Names}}'
        ps -a -f publish=8081 --format '{{.Names}}'
        ps -a -f publish=8083/tcp --format '{{.Names}}'
        ps -a -f expose=99 --format '{{.Names}}'
        ps -a -f health=none --format '{{.Names}}'
        ps -a -f health=bad
        ps -a -f volume=x
        ps -a -f is-task=x
        ps -a -f nosuch=x
        ps -a -f nosuch
    """,
    "inspect": f"""
        ; {_DETAILED}
        inspect -f '{{{{json .Config}}}}' ii
        inspect -f '{{{{json .Mounts}}}}' ii
        inspect -f '{{{{.HostConfig.Binds}}}} {{{{.HostConfig.CapAdd}}}} {{{{.HostConfig.CapDrop}}}} {{{{.HostConfig.Dns}}}} {{{{.HostConfig.Ulimits}}}}' ii
        inspect -f '{{{{json .HostConfig.PortBindings}}}} {{{{json .HostConfig.LogConfig}}}} {{{{json .HostConfig.RestartPolicy}}}}' ii
        inspect -f '{{{{json .HostConfig.Memory}}}} {{{{json .HostConfig.NanoCpus}}}} {{{{json .HostConfig.MemorySwap}}}} {{{{json .HostConfig.PidsLimit}}}}' ii
        inspect -f '{{{{json .HostConfig.Tmpfs}}}} {{{{json .HostConfig.Sysctls}}}} {{{{json .HostConfig.Init}}}} {{{{json .HostConfig.Devices}}}}' ii
        inspect -f '{{{{json .HostConfig.BlkioWeightDevice}}}} {{{{json .HostConfig.DnsSearch}}}} {{{{json .HostConfig.VolumesFrom}}}}' ii
        inspect -f '{{{{.Path}}}} {{{{.Args}}}} {{{{.Name}}}} {{{{.RestartCount}}}} {{{{.Driver}}}} {{{{.Platform}}}} {{{{.Created}}}} {{{{.Image}}}}' ii
        inspect -f '{{{{.State.Status}}}} {{{{.State.Running}}}} {{{{.State.OOMKilled}}}} {{{{.State.Dead}}}} {{{{.State.StartedAt}}}} {{{{.State.FinishedAt}}}}' ii
        inspect -f '{{{{json .NetworkSettings.Ports}}}} {{{{json .NetworkSettings.Networks}}}} {{{{.NetworkSettings.IPPrefixLen}}}}' ii
        inspect -f '{{{{range $p, $c := .NetworkSettings.Ports}}}}{{{{$p}}}} {{{{(index $c 0).HostPort}}}}{{{{end}}}}' ii
        volume rm vv1
        =1 Error response from daemon: remove vv1: volume is in use - [<id>]
    """,
    "inspect templates": """
        ; create --name jj busybox true
        inspect -f '{{.HostConfig.Binds}} {{.HostConfig.Links}} {{.Config.OnBuild}} {{.State.Health}} {{.HostConfig.CapAdd}} {{.HostConfig.PidsLimit}}' jj
        inspect -f '{{.Config.Labels}} {{.Config.Healthcheck}} {{.Config.Entrypoint}} {{.HostConfig.OomKillDisable}} {{.ExecIDs}} {{.Mounts}} {{.Config.Volumes}}' jj
        inspect -f '{{.HostConfig.Init}} {{.HostConfig.Ulimits}} {{.SizeRw}} {{.Config.StopTimeout}} {{.HostConfig.Sysctls}} {{.HostConfig.Tmpfs}}' jj
        inspect -f '{{index .Config.Labels "x"}}' jj
        inspect -f '{{json .State.Health}} {{json .Config.Healthcheck}} {{len .HostConfig.CapAdd}}' jj
        inspect -f '{{if .State.Health}}h{{else}}n{{end}}' jj
        inspect -f '{{.Nosuch}}' jj
        inspect -f '{{.State.Nosuch}}' jj
        inspect -f '{{' jj
        inspect busybox nosuch -f '{{.Os}}'
        inspect --type container busybox
        inspect -s busybox -f '{{.Os}}'
        network inspect -f '{{.Name}} {{.Driver}} {{.Scope}}' bridge
    """,
    "prune and df": """
        ; run --name p1 busybox true
        'n' | container prune
        'n' | system prune
        'n' | system prune -a --volumes
        'n' | system prune --filter until=1h
        'n' | image prune
        'n' | image prune -a
        'n' | network prune
        container prune -f --filter until=1h
        container prune -f --filter nosuch=1
        system prune -f --filter nosuch=1
        'y' | container prune
        system prune -f
        system df
        system df --format '{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}'
        system df -v
        network ls
        network rm bridge
        network rm nosuch
        volume inspect nosuch
        network inspect nosuch
        nosuchcommand
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_lists_are_dockers(name: str, compare: Compare) -> None:
    compare(SCRIPTS[name])


def test_info_and_version_have_dockers_lines(sides: tuple[Side, Side, Side]) -> None:
    """Their values are each engine's own; the titles are not, and no line is empty that docker fills."""
    for command in ("info", "version"):
        theirs, _, ours = (_titles(side.run(parse(command)[0])) for side in sides)
        for title in ("Server", " Containers", " Server Version", " Runtimes", " Kernel Version", " Docker Root Dir"):
            assert command == "version" or (title in theirs and title in ours)
        assert command == "info" or {"Client", " Version", " API version", "  OS/Arch"} <= theirs & ours


def _titles(outcome: Outcome) -> set[str]:
    assert outcome.code == 0, outcome
    return {line.partition(":")[0] for line in outcome.stdout.splitlines()}
