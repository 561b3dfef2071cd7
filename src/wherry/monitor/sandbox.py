"""Executes the network plan of the start request (seams.md): the monitor's own network namespace becomes the
container's, so the namespace lives exactly as long as the monitor does, and restarts keep it.

With a user namespace the container must own its network namespace (mounting sysfs demands it): then the runtime
makes it and the monitor joins it between create and start.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from wherry.linux.namespaces import CLONE_NEWNET, open_namespace, setns, unshare
from wherry.linux.rtnetlink import Batch, Rtnetlink
from wherry.monitor.diagnostics import report
from wherry.monitor.helper import run_in_helper
from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure

if TYPE_CHECKING:
    from typing import Any

_CHANGE_SECONDS = 10.0


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
        self._add_links(host, interfaces)
        with Rtnetlink() as inner:
            batch = Batch()
            batch.set_up("lo")
            self._configure_links(inner, batch, interfaces)
            self._add_routes(inner, batch)
            inner.apply(batch)

    def _add_links(self, host: Rtnetlink, interfaces: list[dict[str, Any]]) -> None:
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
                if interface.get("isolated"):
                    batch.set_isolated(interface["host_name"])
                batch.set_ipv4_only(interface["host_name"])
                batch.set_up(interface["host_name"])
            host.apply(batch)

    def _configure_links(self, inner: Rtnetlink, batch: Batch, interfaces: list[dict[str, Any]]) -> None:
        for interface in interfaces:
            if all(":" not in address for address in interface["addresses"]):
                batch.set_ipv4_only(interface["name"])
            index = inner.link(interface["name"]).index
            for address in interface["addresses"]:
                batch.add_address(index, address)
            batch.set_up(interface["name"])

    def _add_routes(self, inner: Rtnetlink, batch: Batch) -> None:
        for route in self._plan.get("routes", []):
            interface = route.get("interface", "")
            batch.add_route(
                route["destination"],
                gateway=route.get("gateway", ""),
                index=inner.link(interface).index if interface else 0,
            )

    def change(self, change: dict[str, Any]) -> None:
        """In the monitor: ``add`` interfaces, ``remove`` others by name, and have exactly these ``routes`` from now
        on, over restarts too. Raises RuntimeFailure; then the plan is as before."""
        host = self._host
        if host is None or self.mode != "bridge":
            raise RuntimeFailure("set up network: the container has no network of its own")
        gone = set(change["remove"])
        before = self._plan
        kept = [i for i in before.get("interfaces", []) if i["name"] not in gone]
        removed = [i for i in before.get("interfaces", []) if i["name"] in gone]
        links = [*kept, *change["add"]]
        self._plan = {**before, "interfaces": links, "routes": change["routes"], "dns": change["dns"]}
        try:
            run_in_helper(partial(self._apply_change, host, change["add"], removed), limit_seconds=_CHANGE_SECONDS)
        except BaseException:
            self._plan = before
            self._remove_links(host, change["add"])
            raise

    def _apply_change(
        self, host: Rtnetlink, added: list[dict[str, Any]], removed: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], list[int]]:
        """In a helper."""
        try:
            self._remove_links(host, removed)
            self._add_links(host, added)
            with Rtnetlink() as inner:
                batch = Batch()
                self._configure_links(inner, batch, added)
                if not self._plan["routes"]:
                    batch.delete_default_route()
                try:
                    inner.apply(batch)
                except ProcessLookupError:
                    pass  # there was no default route, or it went with its link
                batch = Batch()
                self._add_routes(inner, batch)
                inner.apply(batch)
            for interface in added:
                host.wait_operational(interface["host_name"], interface["bridge"])
        except OSError as exc:
            raise _failure(exc) from exc
        return {}, []

    def _delete_links(self, host: Rtnetlink) -> None:
        self._remove_links(host, self._plan.get("interfaces", []))

    def _remove_links(self, host: Rtnetlink, interfaces: list[dict[str, Any]]) -> None:
        for interface in interfaces:
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
