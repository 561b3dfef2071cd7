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
        rm -f db2
        inspect -f '{{.HostConfig.Links}}' web1
        start web1
        restart -t 0 web1
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_containers_share_is_dockers(name: str, compare: Compare, files: str) -> None:
    compare(SCRIPTS[name].replace("{files}", files))
