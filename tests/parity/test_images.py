"""``images`` with its columns, formats and filters, ``rmi``, ``tag``, ``load``, ``import``, ``save``, ``pull``, ``history``."""

import pytest

from tests.parity.conftest import Compare

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

SCRIPTS = {
    "images": """
        images
        images -q
        images --digests
        images --no-trunc
        images nosuch
        images 'busy*'
        images -f dangling=true
        images -f bad
        images -f nosuch=1
        images -f reference=busybox --format '{{.Repository}}:{{.Tag}} {{.Size}}'
        images --format '{{.Repository}} {{.SharedSize}} {{.UniqueSize}} {{.VirtualSize}} {{.CreatedSince}}'
        images --format '{{.Nosuch}}'
        images --format '{{'
        images --format 'table {{.ID}}\\t{{.Repository}}'
        image ls busybox -q
        history busybox
        history -q nosuch
        image inspect -f '{{.Config.Cmd}} {{.Config.Entrypoint}} {{.Config.Labels}} {{.Os}} {{.Architecture}} {{.Size}}' busybox
    """,
    "tags": """
        tag busybox tt:1
        tag busybox TT:1
        tag nosuch tt:2
        rmi tt:1
        rmi tt:1
        rmi nosuch
        ; create --name usesit busybox true
        rmi busybox
        image inspect -f '{{.RepoTags}}' busybox
    """,
    "archives": """
        tty: save busybox
        save -o /nodir/x busybox
        load -i /nothere
        ~ 'garbage' | load
        import /nothere
        ~ 'garbage' | import - x:1
        import {tar} bad/REF:x
        import -c 'BAD x' {tar} xx:2
        =1 Error response from daemon: BAD is not a valid change command
        import -c 'ENTRYPOINT ["x"]' -m hello {tar} xx:3
        image inspect -f '{{.Config.Entrypoint}} {{.Comment}} {{.Config.Cmd}}' xx:3
        ; rmi xx:3
        save -o {files}/@side.tar busybox
        load -i {files}/@side.tar
        load -q -i {files}/@side.tar
    """,
    "filters": """
        ; import -c 'LABEL a=b' {tar} f1:1
        ; import {tar} f2:1
        ; tag f1:1 f1:2
        images -f before=f2:1 -f dangling=false --format '{{.Repository}}:{{.Tag}}'
        images -f since=f1:1 --format '{{.Repository}}:{{.Tag}}'
        images -f before=nosuch
        images -f label=a --format '{{.Repository}}:{{.Tag}}'
        images -f label=a=b --format '{{.Repository}}:{{.Tag}}'
        images -f label=a=c
        images -f dangling=false -q
        images -f dangling=x
        =1 Error response from daemon: invalid filter 'dangling=[x]'
        images -f reference='f2*' --format '{{.Repository}}:{{.Tag}}'
        images -f reference='f?:2' --format '{{.Repository}}:{{.Tag}}'
        images -f reference='[' --format '{{.Repository}}:{{.Tag}}'
        images -f reference=f1 -f reference=f1:2 --format '{{.Repository}}:{{.Tag}}'
        images f1:2
        images f1:3
        save -o {files}/@side-two.tar f1:1 f2
        save -o {files}/@side-two.tar f1 f2:nosuch
        save -o {files}/@side-one.tar f1:2
        rmi f1:1 f1:2 f2:1
        ~ load -i {files}/@side-two.tar
        ; tag busybox f1:2
        load -i {files}/@side-one.tar
        tag f1:1 sha256
        image prune -f --filter label=a
        image prune -f --filter nosuch=a
        =1 Error response from daemon: invalid filter 'nosuch'
        image prune -f --filter until=x
        image prune -af --filter label=a=b
        rmi f2:1
    """,
    "push and search": """
        push nosuch
        push -a nosuch
        push -a busybox:latest
        push BAD
        push busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000
        ; tag busybox 127.0.0.1:1/x:1
        push 127.0.0.1:1/x
        push 127.0.0.1:1/x:1
        ; rmi 127.0.0.1:1/x:1
        ~ search 127.0.0.1:1/x
        search -f nosuch 127.0.0.1:1/x
        search -f stars=x 127.0.0.1:1/x
        =1 Error response from daemon: invalid filter 'stars=x'
        search -f nosuch=x 127.0.0.1:1/x
        =1 Error response from daemon: invalid filter 'nosuch'
        search --limit x 127.0.0.1:1/x
        save nosuch
        save busybox:nosuch
        tag busybox sha256:x
    """,
    "pull": """
        pull Bad
        ~ pull nosuch.invalid:1/x:y
        pull 127.0.0.1:1/x
        pull 127.0.0.1:1/x@sha256:bad
        pull -a 127.0.0.1:1/x:y
        pull --platform bad/x/y/z busybox
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_images_are_dockers(name: str, compare: Compare, files: str, busybox_tar: object) -> None:
    compare(SCRIPTS[name].replace("{files}", files).replace("{tar}", str(busybox_tar)))
