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
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_mounts_are_dockers(name: str, compare: Compare, files: str) -> None:
    compare(SCRIPTS[name].replace("{files}", files))
