"""``--link``, ``--volumes-from`` and ``--cidfile``: what one container takes from another, and what it leaves."""

import pytest

from tests.parity.conftest import Compare

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

SCRIPTS = {
    "links": """
        ; run -d --name db1 --expose 80 --expose 81 --expose 53/udp -e X=1 -e EMPTY= busybox sleep 100
        run --rm --link db1:my-db --name web1 busybox sh -c 'env | grep -v _PORT'
        run --rm --link db1:my-db -e MY_DB_NAME=mine --name web1 busybox sh -c 'echo $MY_DB_NAME'
        ; run -d --name web1 --link db1:my-db busybox sleep 100
        exec web1 sh -c 'env | grep -v _PORT | sort'
        exec web1 sh -c 'env | grep _PORT_80 | grep -v -e START -e END | sort'
        ; stop -t 0 db1
        exec web1 true
        ; start db1
        exec web1 sh -c 'grep -c my-db /etc/hosts'
        inspect -f '{{.HostConfig.Links}}' web1
        ; run -d --name web2 --link db1:x --link db1:my-db --link web1 busybox sleep 100
        ps --format '{{.Names}}'
        ps --no-trunc --format '{{.Names}}'
        inspect -f '{{.Name}}' web1/my-db
        rename db1 db2
        inspect -f '{{.HostConfig.Links}}' web1
        rm --link db2
        rm --link nosuch/x
        rm --link web2/my-db
        rm --link web2/my-db
        inspect -f '{{.HostConfig.Links}}' web1
        ps --no-trunc --format '{{.Names}}'
        ps --no-trunc -f name=my-db --format '{{.Names}}'
        rm -f db2
        inspect -f '{{.HostConfig.Links}}' web1
        start web1
        restart -t 0 web1
    """,
    "volumes from": """
        ; create --name src1 -v vv1:/v1 -v {files}:/f:ro -v /anon busybox true
        run --rm --volumes-from src1 busybox sh -c 'echo x > /v1/a; echo y > /anon/b; ls /v1 /anon /f; echo z > /f/new'
        run --rm --volumes-from src1:ro busybox sh -c 'cat /v1/a /anon/b; echo x > /v1/new'
        run --rm --volumes-from src1:rw busybox sh -c 'echo z > /f/new'
        run --rm --volumes-from src1:bad busybox true
        run --rm --volumes-from : busybox true
        run --rm --volumes-from src1 -v other1:/v1 busybox ls /v1 /anon
        ; create --name src2 --volumes-from src1 -v vv2:/v2 busybox true
        run --rm --volumes-from src2:ro busybox sh -c 'cat /v1/a; echo > /v2/x'
        inspect -f '{{range .Mounts}}{{if eq .Destination "/f"}}{{.RW}} {{.Type}} [{{.Name}}] [{{.Driver}}]{{end}}{{end}}' src1
        inspect -f '{{range .Mounts}}{{if eq .Destination "/v1"}}{{.RW}} {{.Type}} {{.Name}} {{.Driver}}{{end}}{{end}}' src2
        inspect -f '{{.HostConfig.VolumesFrom}}' src2
        ; rm -v src1 src2
        volume rm vv1 vv2 other1
    """,
    "cidfile": """
        create --cidfile {files}/nodir/cid busybox true
        run --cidfile {files}/env busybox true
    """,
    "several at once": """
        ; run -d --name s1 --label keep=1 busybox sleep 100
        ; run -d --name s2 --health-cmd true --health-interval 1s busybox sleep 100
        stats --no-stream --format '{{.Name}}' s1 s2
        stats --no-stream --format '{{.Name}} {{.PIDs}}' s2 s1
        stats --no-stream --format '{{.Name}}' s1 nosuch
        ps -f health=starting -f health=healthy --format '{{.Names}}'
        ps -f label=keep -f name=s --format '{{.Names}}'
        ps -f volume=vv5 --format '{{.Names}}'
        ; run -d --name s3 -v vv5:/v5 busybox sleep 100
        ps -f volume=vv5 --format '{{.Names}}'
        ps -f volume=/v5 --format '{{.Names}}'
        ps -f id=nosuch -q
        ps -f isolation=default -q
        ps -f is-task=true -q
        ps -s -f name=s3 --format '{{.Size}}'
        ; rm -f s3
        volume ls -f name=vv5 --format '{{.Name}}'
        volume ls -f dangling=true -f name=vv5 -q
        volume ls -f dangling=false -f name=vv5 -q
        volume ls -f dangling=x
        volume ls -f driver=local -f name=vv5 -q
        volume ls -f driver=nosuch -q
        volume ls -f nosuch=1
        volume rm vv5
        ; stop -t 0 s1 s2
        container prune -f --filter label!=keep
        container prune -f --filter label=nosuch
        container prune -f --filter until=2h
        container prune -f --filter until=x
        ps -a --format '{{.Names}}'
        container prune -f --filter label=keep=1
        volume create --label a=b vv6
        volume prune -f --filter label=a=c
        volume ls -q -f label=a=b
        volume prune -f --filter nosuch=1
        volume rm vv6
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_containers_share_is_dockers(name: str, compare: Compare, files: str) -> None:
    compare(SCRIPTS[name].replace("{files}", files))
