"""The verbs on containers in every state: what they print, refuse, and leave."""

import pytest

from tests.parity.conftest import Compare

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

SCRIPTS = {
    "created and stopped": """
        create --name aa busybox true
        create --name aa busybox true
        create --name -bad busybox true
        inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}} {{.State.Error}}' aa
        start aa
        wait aa
        inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}} {{.State.Error}}' aa
        stop aa
        kill aa
        =1 Error response from daemon: cannot kill container: aa: container <id> is not running
        pause aa
        unpause aa
        exec aa true
        attach aa
        rename aa aa
        create --name bb busybox true
        rename aa bb
        rename bb cc
        rm aa
        rm aa cc
    """,
    "not there": """
        start nosuch
        stop nosuch
        kill nosuch
        restart nosuch
        pause nosuch
        wait nosuch
        logs nosuch
        attach nosuch
        exec nosuch true
        exec -it nosuch true
        top nosuch
        port nosuch
        rename nosuch cc
        rm nosuch
        rm -f nosuch
        inspect nosuch
        container inspect nosuch
        update --cpus 0.5 nosuch
        diff nosuch
        export nosuch
        commit nosuch x
        stats --no-stream nosuch
    """,
    "running": """
        ; run -d --name aa busybox sleep 100
        start aa
        rm aa
        =1 Error response from daemon: cannot remove container "/aa": container is running: stop the container before removing or force remove
        kill --signal NOSUCH aa
        top aa -o comm
        pause aa
        pause aa
        exec aa true
        ps --format '{{.Names}} {{.Status}}'
        stop -t 0 aa
        inspect -f '{{.State.Status}} {{.State.ExitCode}}' aa
        unpause aa
        start aa
        kill aa
        wait aa
        inspect -f '{{.State.ExitCode}}' aa
        restart -t 0 aa
        inspect -f '{{.State.Status}} {{.RestartCount}}' aa
        start -a aa nosuch
        stop -t x aa
        rm -f aa
        rm -fv nosuch other
    """,
    "stop signals": """
        ; run -d --name aa --stop-signal INT busybox sh -c 'trap "exit 7" INT; while :; do sleep 0.1; done'
        ; exec aa sleep 0.5
        stop aa
        inspect -f '{{.State.ExitCode}}' aa
        ; start aa
        28: stop -s TERM -t 1 aa
        28: inspect -f '{{.State.ExitCode}}' aa
        =0 137
        ; rm aa
        ; run -d --name bb busybox sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done'
        ; exec bb sleep 0.5
        kill -s TERM bb
        wait bb
        ps -a --filter status=exited --format '{{.Names}} {{.Status}}'
    """,
    "exec": """
        ; run -d --name aa busybox sleep 100
        exec aa sh -c 'echo o; echo e >&2; exit 4'
        exec aa nothere
        =127 OCI runtime exec failed: exec failed: unable to start container process: exec: "nothere": executable file not found in $PATH: unknown
        ~ exec aa /etc
        exec -w /tmp aa pwd
        exec -u nosuch aa id
        exec -u 1000:1000 aa id
        exec -e AA=b -e HOME aa sh -c 'env | sort'
        'abc' | exec -i aa cat
        'abc' | exec aa cat
        exec -it aa tty
        tty: exec -it aa tty
        tty: exec -t aa sh -c 'echo x; exit 3'
        exec -d aa sleep 1
        exec --detach-keys bad aa true
        exec aa
        exec
    """,
    "logs": """
        ; run --name aa busybox sh -c 'for i in 1 2 3 4 5; do echo $i; sleep 0.01; echo e$i >&2; sleep 0.01; done'
        logs aa
        logs --tail 2 aa
        logs --tail 0 aa
        logs --tail all aa
        logs --tail x aa
        logs --tail -1 aa
        logs -n 1 aa
        logs -t aa
        logs --since 1h aa
        logs --since 2001-01-01 aa
        logs --until 2001-01-01 aa
        logs --since bad aa
        logs -f aa
        logs --details aa
        ; rm aa
        ; run --name aa --log-driver none busybox echo x
        logs aa
        ; rm aa
        ; run --name aa -t busybox sh -c 'echo x; echo y >&2'
        logs aa
        logs -t --tail 1 aa
    """,
    "missing arguments": """
        stop
        kill
        rm
        wait
        start
        restart
        logs
        attach
        inspect
        rmi
        pull
        import
        rename aa
        ps extra
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_lifecycle_is_dockers(name: str, compare: Compare) -> None:
    compare(SCRIPTS[name])
