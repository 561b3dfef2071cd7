"""``network`` commands, and containers on several networks."""

import pytest

from tests.parity.conftest import Compare

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

SCRIPTS = {
    "create and inspect": """
        ; network create --label a=b --subnet 10.77.1.0/24 --gateway 10.77.1.254 --ip-range 10.77.1.64/26 --aux-address p=10.77.1.70 -o com.docker.network.driver.mtu=1400 nw1
        ; network create --internal --subnet 10.77.2.0/24 nw2
        network inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.Attachable}} {{.Ingress}} {{.EnableIPv6}} {{json .Labels}} {{json .Options}} {{json .IPAM}} {{json .Containers}} {{json .ConfigFrom}} {{.ConfigOnly}}' nw1
        network inspect -f '{{.Internal}} {{json .IPAM.Driver}} {{json .Options}}' nw2
        network ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.Labels}}'
        network ls -q -f name=nothing
        network ls -f label=a=b --format '{{.Name}}'
        network ls -f type=custom --format '{{.Name}}'
        network ls -f dangling=true --format '{{.Name}}'
        network ls -f driver=null --format '{{.Name}}'
        network ls -f nosuch=1
        network create nw1
        network create --subnet 10.77.1.0/25 nw3
        =1 Error response from daemon: invalid pool request: Pool overlaps with other one on this address space
        network create -d nosuch nw3
        ~ network create --subnet nonsense nw3
        ~ network create --gateway 10.1.1.1 nw3
        network create host
        network create -d host nw3
        network rm nw1 nw2
        network rm nw1
    """,
    # The texts that are left out are Docker 28's, and have two lines.
    "containers": """
        ; network create --subnet 10.77.1.0/24 one
        ; network create --subnet 10.77.2.0/24 two
        ; network create auto
        ; run -d --name box --network one --ip 10.77.1.9 --network-alias al busybox sleep 600
        ; network connect --ip 10.77.2.9 --alias bl two box
        inspect -f '{{range $n, $e := .NetworkSettings.Networks}}{{$n}} {{$e.IPAddress}}/{{$e.IPPrefixLen}} {{$e.Gateway}} {{json $e.IPAMConfig}} {{json $e.Links}}{{println}}{{end}}' box
        inspect -f '{{.NetworkSettings.IPAddress}} {{.HostConfig.NetworkMode}}' box
        exec box ip route
        network inspect -f '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}' one
        ps --format '{{.Names}} {{.Networks}}'
        ps -f network=two --format '{{.Names}}'
        network connect two box
        network connect nosuch box
        network connect one nosuch
        network connect host box
        network disconnect bridge box
        network disconnect two box
        network disconnect two nosuch
        exec box ip route
        ~ run --network two --ip 10.99.9.9 busybox true
        ~ run --network auto --ip 172.30.9.9 busybox true
        ~ run --ip 10.77.1.10 busybox true
        run --network-alias x busybox true
        run --rm --network two --name q busybox ip route
        ; rm -f box
        ~ network prune -f
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_networks_are_dockers(name: str, compare: Compare) -> None:
    compare(SCRIPTS[name])
