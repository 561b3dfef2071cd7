"""``-v``, ``--mount`` and ``--tmpfs``: what is mounted, and what is refused in which words."""

import pytest

from tests.parity.conftest import Compare

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

SCRIPTS = {
    "volume option": """
        run --rm -v {files}/env:/e:ro busybox sh -c 'head -2 /e; echo x > /e'
        run --rm -v rel/path:/x busybox true
        run --rm -v /x busybox ls -d /x
        run --rm -v vol1:/x busybox ls -d /x
        run --rm -v vol1:x busybox true
        run --rm -v vol1:/ busybox true
        run --rm -v /a:/b:xx:yy busybox true
        run --rm -v vol1:/x:bad busybox true
        run --rm -v vol1:/x:ro,rw busybox true
        28: run --rm -v '' busybox true
        run --rm -v vol1:/x -v vol2:/x busybox true
        run --rm -v 'bad!name:/x' busybox true
        volume rm vol1
    """,
    "mount option": """
        run --rm --mount type=bind,src=/nothere,dst=/x busybox true
        run --rm --mount type=bind,dst=/x busybox true
        run --rm --mount type=bind,src=/tmp busybox true
        run --rm --mount type=bind,src={files}/env,dst=/e,readonly busybox sh -c 'echo x > /e'
        run --rm --mount type=nosuch,dst=/x busybox true
        run --rm --mount type=volume,dst=/x,volume-nocopy busybox true
        run --rm --mount src=vol9,dst=/x,bogus=1 busybox true
        run --rm --mount bogus busybox true
        run --rm --mount '' busybox true
        run --rm --mount type=tmpfs,src=a,dst=/x busybox true
        run --rm --mount type=tmpfs,dst=/x,tmpfs-size=x busybox true
        run --rm --mount type=tmpfs,dst=/x,tmpfs-mode=9 busybox true
        run --rm --mount type=bind,src=/tmp,dst=/x,bind-propagation=bad busybox true
        run --rm --mount type=volume,dst=/x,bind-propagation=rprivate busybox true
        run --rm --mount type=bind,src=/tmp,dst=/x,volume-nocopy busybox true
        run --rm --mount type=bind,src=/tmp,dst=/x,readonly=maybe busybox true
        run --rm --mount type=volume,dst=x busybox true
        run --rm --mount type=volume,src=v1,dst=/ busybox true
    """,
    "tmpfs": """
        run --rm --tmpfs /x:size=64k,mode=1770 busybox sh -c 'grep -c " /x tmpfs" /proc/mounts; stat -c %a /x'
        run --rm --mount type=tmpfs,dst=/x,tmpfs-size=64k,tmpfs-mode=1700 busybox stat -c %a /x
        run --rm --tmpfs x busybox true
        run --rm --tmpfs / busybox true
        run --rm --tmpfs /x:bogus busybox true
        =125 docker: Error response from daemon: invalid tmpfs option "bogus"
    """,
    "driver options": """
        volume create --opt type=tmpfs t0
        volume create --opt device=tmpfs t0
        volume create --opt o=size=1m t0
        volume create --opt nosuch=1 t0
        volume create --opt size=1m t0
        volume create --opt type=tmpfs --opt device=tmpfs --opt o=size=1m,mode=1700,uid=7 t1
        volume inspect t1
        run --rm -v t1:/x busybox sh -c 'grep " /x " /proc/mounts | tr , "\\n" | grep -e size -e uid -e mode; touch /x/f'
        run --rm -v t1:/x busybox ls /x
        volume create --opt type=none --opt device={files} --opt o=bind t2
        run --rm -v t2:/x busybox ls /x
        run --rm -v t2:/x:ro busybox sh -c 'echo > /x/new'
        volume create --opt type=none --opt device=/nothere --opt o=bind t3
        run --rm -v t3:/x busybox true
        volume create --opt type=nfs --opt device=:/export --opt o=addr=127.0.0.1,rw t4
        ~ run --rm -v t4:/x busybox true
        volume create --opt type=nosuch --opt device=x t5
        run --rm -v t5:/x busybox true
        ; run -d --name a1 -v t1:/x busybox sleep 100
        ; run -d --name a2 -v t1:/y busybox sleep 100
        exec a1 touch /x/shared
        exec a2 ls /y
        ; rm -f a1
        exec a2 ls /y
        ; rm -f a2
        run --rm -v t1:/x busybox ls /x
        volume rm t1 t2 t3 t4 t5
        run --rm --mount type=volume,src=m1,dst=/x,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-label=a=b busybox sh -c 'grep -c " /x tmpfs" /proc/mounts'
        volume inspect -f '{{.Labels}} {{.Options}}' m1
        volume create --opt type=tmpfs --opt device=tmpfs m1
        volume create m1
        volume create --label x=y m1
        volume rm m1
    """,
    "bind options": """
        run --rm --mount type=bind,src={files},dst=/x,bind-propagation=rprivate busybox ls /x
        run --rm --mount type=bind,src={files},dst=/x,bind-propagation=rslave busybox ls /x
        run --rm --mount type=bind,src={files},dst=/x,bind-nonrecursive busybox ls /x
        run --rm -v {files}:/x:ro,rslave busybox ls /x
        run --rm -v {files}:/x:nocopy busybox ls /x
        run --rm -v {files}:/x:z busybox ls /x
        run --rm -v v7:/etc:nocopy busybox ls /etc/passwd
        run --rm -v v8:/etc busybox ls /etc/passwd
        run --rm --mount type=volume,src=v9,dst=/etc,volume-nocopy busybox ls /etc/passwd
        volume rm v7 v8 v9
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_mounts_are_dockers(name: str, compare: Compare, files: str) -> None:
    compare(SCRIPTS[name].replace("{files}", files))
