"""Executes the network plan of the start request (seams.md): the monitor's own network namespace becomes the
container's, so the namespace lives exactly as long as the monitor does, and restarts keep it.

With a user namespace the container must own its network namespace (mounting sysfs demands it): then the runtime
makes it and the monitor joins it between create and start.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wherry.linux.namespaces import CLONE_NEWNET, open_namespace, setns, unshare
from wherry.linux.rtnetlink import Batch, Rtnetlink
from wherry.monitor.diagnostics import report
from wherry.runtime.failure import RuntimeFailure


class Sandbox:
    """One container's network. ``host_fd`` is the namespace in which the monitor was born."""

    def __init__(self, plan: dict[str, Any], *, own_user_namespace: bool) -> None:
        self._plan = plan
        self.mode: str = plan.get("mode", "none")
        self._late = own_user_namespace and self.mode in ("bridge", "none")
        self._host: Rtnetlink | None = None
        self._configured = False
        self.host_fd = -1
        self.namespace_fd = -1

    def prepare(self) -> None:
        """Once, before the first create: enter the namespace. Raises RuntimeFailure naming the step."""
        if self.mode == "host":
            return
        try:
            self.host_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            if self.mode == "join":
                self.namespace_fd = open_namespace(self._plan["join_pid"], "network")
                setns(self.namespace_fd, CLONE_NEWNET)
                return
            self._host = Rtnetlink()
            if not self._late:
                unshare(CLONE_NEWNET)
                self.namespace_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise _failure(exc) from exc

    def before_create(self) -> None:
        """In the helper that creates the container (a fork: nothing is remembered here): configure the namespace,
        unless an earlier start did."""
        if self._host is not None and not self._late and not self._configured:
            self._configure(self._host)

    def in_container(self, pid: int) -> None:
        """In the helper, once the init ``pid`` waits: configure a namespace that the runtime made."""
        if self._host is None or not self._late:
            return
        self._delete_links(self._host)
        self._enter(pid)
        self._configure(self._host)

    def wait_operational(self) -> None:
        """In the helper, last: until packets pass. What the program sends before would be lost, and an ARP request
        is repeated only a second later."""
        if self._host is None:
            return
        for interface in self._plan.get("interfaces", []):
            if not self._host.wait_operational(interface["host_name"], interface["bridge"]):
                report(f"link {interface['host_name']} is not up yet: the container starts without it")

    def created(self, pid: int) -> None:
        """In the monitor, after every create."""
        self._configured = True
        if self._host is not None and self._late:
            self._enter(pid)

    @contextmanager
    def on_host(self) -> Iterator[None]:
        """Be in the host's namespace for a moment: what is started now is born there."""
        if self.host_fd < 0:
            yield
            return
        setns(self.host_fd, CLONE_NEWNET)
        try:
            yield
        finally:
            if self.namespace_fd >= 0:
                setns(self.namespace_fd, CLONE_NEWNET)

    def _enter(self, pid: int) -> None:
        if self.namespace_fd >= 0:
            os.close(self.namespace_fd)
        try:
            self.namespace_fd = open_namespace(pid, "network")  # a child of ours: the pid is not reused
            setns(self.namespace_fd, CLONE_NEWNET)
        except OSError as exc:
            raise _failure(exc) from exc

    @property
    def runtime_fd(self) -> int | None:
        """What create_container is to join: None when the runtime follows the spec (host, or its own)."""
        return None if self._late or self.namespace_fd < 0 else self.namespace_fd

    def _configure(self, host: Rtnetlink) -> None:
        try:
            self._apply_plan(host)
        except OSError as exc:
            raise _failure(exc) from exc

    def _apply_plan(self, host: Rtnetlink) -> None:
        interfaces = self._plan.get("interfaces", [])
        if interfaces:
            batch = Batch()
            for interface in interfaces:
                batch.add_veth(
                    interface["host_name"],
                    interface["name"],
                    peer_namespace_fd=self.namespace_fd,
                    peer_mac=interface["mac"],
                    mtu=interface["mtu"],
                    master_index=host.link(interface["bridge"]).index,
                )
                if interface.get("alias"):
                    batch.set_alias(interface["host_name"], interface["alias"])
                batch.set_ipv4_only(interface["host_name"])
                batch.set_up(interface["host_name"])
            host.apply(batch)
        with Rtnetlink() as inner:
            batch = Batch()
            batch.set_up("lo")
            indexes = {interface["name"]: inner.link(interface["name"]).index for interface in interfaces}
            for interface in interfaces:
                if all(":" not in address for address in interface["addresses"]):
                    batch.set_ipv4_only(interface["name"])
                for address in interface["addresses"]:
                    batch.add_address(indexes[interface["name"]], address)
                batch.set_up(interface["name"])
            for route in self._plan.get("routes", []):
                batch.add_route(
                    route["destination"],
                    gateway=route.get("gateway", ""),
                    index=indexes.get(route.get("interface", ""), 0),
                )
            inner.apply(batch)

    def _delete_links(self, host: Rtnetlink) -> None:
        for interface in self._plan.get("interfaces", []):
            batch = Batch()
            batch.delete_link(interface["host_name"])
            try:
                host.apply(batch)
            except OSError as exc:
                if exc.errno != errno.ENODEV:  # the first start, or it went with its namespace
                    raise

    def close(self) -> None:
        """Take the links down (the host sees it at once, not when the kernel gets round to the namespace)."""
        if self._host is not None:
            try:
                self._delete_links(self._host)
            except OSError as exc:
                report(f"{exc.strerror or exc}")  # they go with the namespace
            self._host.close()
            self._host = None

    def counters(self) -> dict[str, dict[str, int]]:
        """Per interface, loopback left out, what ``/proc/net/dev`` of the namespace says, in Docker's names."""
        if self.mode == "host":
            return {}
        with open("/proc/thread-self/net/dev", encoding="ascii") as file:
            lines = file.read().splitlines()[2:]
        found: dict[str, dict[str, int]] = {}
        for line in lines:
            name, _, values = line.partition(":")
            numbers = [int(value) for value in values.split()]
            if name.strip() != "lo":
                received, sent = numbers[:4], numbers[8:12]
                kinds = ("bytes", "packets", "errors", "dropped")
                found[name.strip()] = {f"rx_{kind}": number for kind, number in zip(kinds, received, strict=True)}
                found[name.strip()] |= {f"tx_{kind}": number for kind, number in zip(kinds, sent, strict=True)}
        return found


def _failure(exc: OSError) -> RuntimeFailure:
    return RuntimeFailure(f"set up network: {exc.strerror or exc}")
