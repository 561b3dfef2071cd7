"""``run`` and its options: what happens, what is printed where, and the exit code."""

import pytest

from tests.parity.conftest import Compare

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

SCRIPTS = {
    "output and exit codes": """
        run --rm busybox sh -c 'echo out; echo err >&2; exit 3'
        run --rm busybox nothere
        run --rm busybox /etc/passwd
        28: run --rm busybox /etc
        =126 docker: Error response from daemon: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/etc": is a directory: unknown
        run --rm busybox sh -c 'kill -9 $$'
        run --rm busybox sh -c 'kill -15 $$; sleep 1; exit 143'
        run --rm --entrypoint /nothere busybox x
        run --rm Busybox true
        run --rm busybox:BAD:TAG true
        run --pull never nosuch true
        28: run --pull bad busybox true
        run
        run --nosuch busybox
        run -d --rm busybox true
    """,
    "streams": """
        run -a stdout busybox sh -c 'echo o; echo e >&2'
        run -a stderr busybox sh -c 'echo o; echo e >&2'
        'x' | run -a stdin busybox cat
        'typed' | run -i --name in1 busybox cat
        'again' | start -ai in1
        'x' | run -a stdin -a stdout -i busybox cat
        run -a bad busybox true
        run -d -a stdout busybox true
        run --rm -it busybox tty
        tty: run --rm -it busybox sh -c 'test -t 0 && test -t 1 && exit 9'
        tty: run --rm -t busybox echo x
        tty: run --rm -it busybox nothere
        tty: run --rm busybox sh -c 'test -t 1 || echo notty'
    """,
    "identity and place": """
        run --rm -u nosuch busybox id
        run --rm -u nobody busybox id
        run --rm -u 1234 busybox id
        run --rm -u 1234:nosuch busybox id
        run --rm -u root:daemon --group-add 999 busybox id
        run --rm --group-add nosuch busybox id
        run --rm -w /a/b busybox pwd
        run --rm -w rel busybox pwd
        run --rm -w /etc/passwd busybox pwd
        run --rm --hostname my.host busybox hostname
        run --rm --entrypoint echo busybox hello
        run --rm --entrypoint "" busybox echo hello
        run --rm --entrypoint "" busybox
        ~ run --rm --init busybox sh -c "ps | grep -q 'init -- sh'"
        run --rm --name x/y busybox true
        run --rm --stop-signal NOSUCH busybox true
        run --rm --uts host --hostname x busybox true
    """,
    "environment and labels": """
        run --rm -e A=1 -e B= -e C busybox sh -c 'env | sort'
        run --rm -e =x busybox env
        run --rm --env-file /nothere busybox env
        run --rm --env-file {files}/env busybox sh -c 'env | sort'
        run --rm --env-file {files}/bad-env busybox env
        run --rm -l a=b -l c busybox true
        run --rm --label-file /nothere busybox true
        run --rm --cidfile {files}/env busybox true
    """,
    "memory and cpu": """
        run --rm --memory abc busybox true
        run --rm --memory 1k busybox true
        run --rm --memory 100m --memory-swap 50m busybox true
        run --rm --memory-swap 50m busybox true
        run --rm --memory 8m --memory-reservation 16m busybox true
        run --rm --memory-swappiness 200 busybox true
        run --rm --memory 64m busybox cat /sys/fs/cgroup/memory/memory.limit_in_bytes
        run --rm --cpus x busybox true
        run --rm --cpus 200 busybox true
        run --rm --cpu-shares -5 busybox true
        run --rm --cpu-period 10 busybox true
        run --rm --cpu-quota 10 busybox true
        run --rm --cpuset-cpus 77 busybox true
        run --rm --cpuset-mems 7 busybox true
        run --rm --pids-limit x busybox true
        run --rm --oom-score-adj 5 busybox cat /proc/self/oom_score_adj
        run --rm --oom-score-adj 5000 busybox true
    """,
    "capabilities and security": """
        run --rm --cap-add NOSUCH busybox true
        run --rm --cap-drop all --cap-add chown busybox grep Cap /proc/self/status
        run --rm --security-opt nosuch busybox true
        run --rm --security-opt a=b busybox true
        run --rm --security-opt seccomp=/nothere busybox true
        run --rm --security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status
        run --rm --security-opt no-new-privileges busybox grep NoNew /proc/self/status
        run --rm --security-opt no-new-privileges=maybe busybox true
        run --rm --security-opt label=disable busybox true
        run --rm --read-only busybox touch /x
        run --rm --read-only --tmpfs /new busybox touch /new/y
        run --rm --read-only -v {files}:/made busybox ls -d /made
        run --rm --gpus all busybox true
    """,
    "limits, sysctls, devices": """
        run --rm --ulimit nofile=100:200 busybox sh -c 'ulimit -Sn; ulimit -Hn'
        run --rm --ulimit nofile=200:100 busybox true
        run --rm --ulimit bad busybox true
        run --rm --ulimit nosuch=1 busybox true
        run --rm --ulimit nofile=x busybox true
        run --rm --sysctl net.ipv4.ip_forward=0 busybox cat /proc/sys/net/ipv4/ip_forward
        run --rm --sysctl kernel.nosuch=1 busybox true
        run --rm --sysctl net.nosuch=1 busybox true
        run --rm --sysctl bad busybox true
        run --rm --device /dev/nosuch busybox true
        run --rm --device /dev/null:/dev/foo:r busybox sh -c 'test -c /dev/foo'
        run --rm --device /dev/null:/dev/foo:xyz busybox true
        run --rm --device null busybox true
        run --rm --device-cgroup-rule 'c 1:3 rwm' busybox true
        run --rm --device-cgroup-rule bad busybox true
        run --rm --device-read-bps bad busybox true
    """,
    "namespaces": """
        ; run -d --name target1 busybox sleep 100
        run --rm --pid container:target1 busybox cat /proc/1/comm
        run --rm --network container:target1 busybox true
        run --rm --network container:target1 --hostname x busybox true
        run --rm --network container:nosuch busybox true
        run --rm --network nosuch busybox true
        run --rm --network host --link x busybox true
        run --rm --network none -p 80:80 busybox true
        run --rm --pid nosuch busybox true
        run --rm --pid container:nosuch busybox true
        run --rm --pid host busybox true
        run --rm --ipc nosuch busybox true
        run --rm --ipc container:nosuch busybox true
        run --rm --ipc none busybox sh -c 'grep -c shm /proc/mounts'
        run --rm --ipc private --shm-size 1m busybox df /dev/shm
        run --rm --shm-size x busybox true
        run --rm --uts nosuch busybox true
        run --rm --userns nosuch busybox true
        run --rm --cgroupns nosuch busybox true
        run --rm --volumes-from nosuch busybox true
        run --rm --link nosuch busybox true
        run --rm --link target1:other busybox sh -c 'grep -c "other .* target1" /etc/hosts'
        ; create --name idle1 busybox true
        create --name after1 --link idle1 busybox true
        ~ start after1
    """,
    "network": """
        run --rm --dns bad busybox true
        run --rm --network none --dns 1.1.1.1 busybox sh -c 'grep nameserver /etc/resolv.conf'
        run --rm --add-host a:1.2.3.4 busybox grep -c 1.2.3.4 /etc/hosts
        run --rm --add-host bad busybox true
        run --rm --add-host a:bad busybox true
        run --rm --mac-address bad busybox true
        run --rm --expose 80-70 busybox true
        run --rm --expose abc busybox true
        run --rm -p abc busybox true
        run --rm -p 70000:80 busybox true
        run --rm -p 80:70000 busybox true
        run --rm -p 1.2.3:80:80 busybox true
        run --rm -p 80/icmp busybox true
        run --rm -p 8000-8002:80-81 busybox true
        run --rm -p 127.0.0.1::80 busybox true
    """,
    "restart policies": """
        run --rm --restart always busybox true
        run --rm --restart bad busybox true
        run -d --restart on-failure:x busybox true
        run -d --restart always:3 busybox true
        =125 docker: Error response from daemon: invalid restart policy: maximum retry count can only be used with 'on-failure'
        run -d --restart on-failure:-1 busybox true
        =125 docker: Error response from daemon: invalid restart policy: maximum retry count cannot be negative
        run -d --name retry1 --restart on-failure:1 busybox false
        wait retry1
        ; wait retry1
        inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' retry1
    """,
    "log options": """
        run --rm --log-opt nosuch=1 busybox true
        run --rm --log-opt max-size=x busybox true
        run --rm --log-opt max-file=0 busybox true
        run --rm --log-opt bad busybox true
        run --rm --log-driver none busybox echo x
        run --rm --log-driver local --log-opt nosuch=1 busybox true
    """,
    "health": """
        run --rm --health-cmd x --no-healthcheck busybox true
        run --rm --health-interval 1 busybox true
        run --rm --health-interval -1s busybox true
        run --rm --health-retries -1 busybox true
        create --name sick1 --health-cmd false --health-interval 5s busybox true
        inspect -f '{{json .Config.Healthcheck}}' sick1
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_run_is_dockers(name: str, compare: Compare, files: str) -> None:
    compare(SCRIPTS[name].replace("{files}", files))
