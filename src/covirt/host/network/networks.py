# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The host's networks: changed as one, confirmed or taken back, and the same again after a restart."""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from covirt.common.errors import Error
from covirt.common.root import Root
from covirt.host.network.apply import apply, apply_all, ipv6_mode
from covirt.host.network.checks import check_change, check_ownership, nics_of
from covirt.host.network.config import NetworkHostConfig
from covirt.host.network.dhcp import Asked, DhcpClients
from covirt.host.network.errors import BadBridge, ConnectionLost, ForeignLink, NetworkChangeRuns, NicInUse
from covirt.host.network.facts import interface_statistics, network_facts
from covirt.host.network.layout import Layout, layout_of, without
from covirt.host.network.links import Link, read_links
from covirt.host.network.model import NetworkChange, NetworkConfig
from covirt.host.network.plan import Original, Situation, alias_of, plan
from covirt.host.network.store import NetworkStore, Running
from covirt.hostapi.json import JsonValue

log = logging.getLogger(__name__)

# A first answer of a DHCP server takes a second or two, and bridges with STP keep it back for longer.
_LEASE_WAIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOptions:
    """``confirm_seconds``: how long to wait for a client that still reaches the host; None does not wait.

    ``keep``: what is confirmed is safe too.
    """

    confirm_seconds: float | None = None
    keep: bool = False


class Networks:
    """All of them. One change at a time; facts are read at any time."""

    def __init__(self, root: Root, config: NetworkHostConfig) -> None:
        self._config = config
        self._alias = alias_of(root.id)
        state_dir, run_dir = root.state_dir / "host", root.run_dir / "host"
        self._store = NetworkStore(state_dir=state_dir, run_dir=run_dir)
        self._dhcp = DhcpClients(run_dir / "dhcp", state_dir, alias=self._alias)
        self._changing = threading.Lock()
        self._confirmed = threading.Event()
        self._running = Running()
        self._dirty = False

    def start(self) -> None:
        """Take back a change that was cut short, and make what was there before. What cannot be made is logged and
        tried again by the next start: a host whose NIC has died must still be reachable by its others."""
        self._dhcp.end_strays()
        cut_short = self._store.cut_short()
        found = cut_short or self._store.running()
        self._running = found or Running(config=self._store.safe())
        self._dirty = self._running.config != self._store.safe()
        if cut_short is not None:
            log.warning("A change of the networks was cut short and is taken back")
        try:
            originals = self._originals(self._running.config)
            self._running = Running(config=self._running.config, originals=originals)
            failures = self._go_to(self._running, freed=cut_short.originals if cut_short else {}, at_any_rate=True)
            self._store.write_running(self._running)
            if failures:
                raise failures[0]
        except Error as error:
            log.error("The host's networks are not all there reason=%s", error)
        else:
            self._store.end()

    def stop(self) -> None:
        """Networks stay."""
        self._dhcp.stop()

    def change(self, change: NetworkChange, options: ChangeOptions) -> None:
        """Change networks as one. Raises NetworkChangeRuns, ConnectionLost and what a change is refused with; then
        all is as it was before."""
        with self._only_one():
            before = self._running
            config = self._checked(change)
            log.info("The networks change networks=%s bonds=%s", sorted(change.networks), sorted(change.bonds))
            originals = self._originals(config)
            self._store.begin(Running(config=before.config, originals=originals))
            self._dirty = True
            try:
                self._confirmed.clear()
                self._go_to(Running(config=config, originals=originals))
                self._wait_for_leases(config)
                self._wait_for_client(options)
                nics = config.nics()
                after = Running(
                    config=config, originals={name: one for name, one in originals.items() if name in nics}
                )
                self._store.write_running(after)
            except BaseException:
                self._take_back(before, originals)
                raise
            self._running = after
            self._store.end()
            if options.keep:
                self._make_safe()

    def confirm(self) -> None:
        """A client reaches the host."""
        self._confirmed.set()

    def make_safe(self) -> None:
        """The networks of now are there after a reboot too. Raises NetworkChangeRuns."""
        with self._only_one():
            self._make_safe()

    def networks(self) -> Mapping[str, str]:
        """Names of the networks, with the interface that is each's."""
        return {name: spec.interface for name, spec in self._running.config.networks.items()}

    def capabilities(self) -> Mapping[str, JsonValue]:
        links = read_links()
        nics = nics_of(links, self._config.virtual_nics, self._config.hidden_nics)
        return {**network_facts(self._running.config, links, nics), "netConfigDirty": str(self._dirty)}

    def statistics(self) -> Mapping[str, JsonValue]:
        return {**interface_statistics(), "netConfigDirty": str(self._dirty)}

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        if not self._changing.acquire(blocking=False):
            raise NetworkChangeRuns
        try:
            yield
        finally:
            self._changing.release()

    def _checked(self, change: NetworkChange) -> NetworkConfig:
        present = self._running.config
        for name, spec in change.networks.items():
            if spec is None and name not in present.networks:
                raise BadBridge(network=name, reason="it cannot be removed, because this host has none of this name")
        config = change.applied_to(present)
        links = read_links()
        nics = nics_of(links, self._config.virtual_nics, self._config.hidden_nics)
        known = layout_of(present)
        check_change(change, config, links=links, nics=nics, alias=self._alias, known=known)
        return config

    def _originals(self, config: NetworkConfig) -> dict[str, Original]:
        """Of the NICs before and after."""
        links = read_links()
        taken = {name: Original.of(links[name], ipv6_mode(name)) for name in config.nics() if name in links}
        return {**taken, **self._running.originals}

    def _go_to(
        self, running: Running, *, freed: Mapping[str, Original] | None = None, at_any_rate: bool = False
    ) -> list[Error]:
        """``freed``: NICs that go back to exactly what they had, instead of losing the network's addresses.

        ``at_any_rate``: a step that fails keeps back no other, and is told.
        """
        wanted: Layout = layout_of(running.config)
        links = read_links()
        known = {*wanted, *running.originals, *(freed or ())}
        failures: list[Error] = []
        if at_any_rate:
            wanted, failures = self._owned(wanted, links, known)
        check_ownership(wanted, links, self._alias, known=known)
        asked = [Asked(name=one.name, route=one.dhcp_route) for one in wanted.values() if one.dhcp]
        leased = self._dhcp.leased()
        self._dhcp.retain(asked)
        released = {name: one.without_addresses() for name, one in running.originals.items() if name not in wanted}
        released |= {name: one for name, one in (freed or {}).items() if name not in wanted}
        situation = Situation(links=links, alias=self._alias, released=released, leased=leased)
        steps = plan(situation, wanted)
        if at_any_rate:
            failures += apply_all(steps, alias=self._alias)
        else:
            apply(steps, alias=self._alias)
        self._dhcp.keep(asked)
        return failures

    def _owned(self, wanted: Layout, links: Mapping[str, Link], known: Collection[str]) -> tuple[Layout, list[Error]]:
        """What can be made without what somebody else has taken in the meantime, and what that is."""
        failures: list[Error] = []
        while True:
            try:
                check_ownership(wanted, links, self._alias, known=known)
            except (ForeignLink, NicInUse) as error:
                log.warning("An interface is left out: %s", error)
                failures.append(error)
                wanted = without(wanted, str(error.fields["name" if isinstance(error, ForeignLink) else "nic"]))
            else:
                return wanted, failures

    def _take_back(self, before: Running, originals: Mapping[str, Original]) -> None:
        freed = {name: one for name, one in originals.items() if name not in before.originals}
        try:
            failures = self._go_to(before, freed=freed, at_any_rate=True)
            if failures:
                raise failures[0]
        except Error:
            log.exception("The networks could not be put back wholly; a restart of the agent tries again")
            return
        self._dirty = before.config != self._store.safe()
        self._store.end()

    def _wait_for_leases(self, config: NetworkConfig) -> None:
        names = [one.name for one in layout_of(config).values() if one.dhcp]
        self._dhcp.wait_for(names, seconds=_LEASE_WAIT_SECONDS)

    def _wait_for_client(self, options: ChangeOptions) -> None:
        seconds = options.confirm_seconds
        if seconds is None:
            return
        # Only what is said from here on tells that the host is reachable as it is now.
        self._confirmed.clear()
        if not self._confirmed.wait(seconds):
            raise ConnectionLost(seconds=f"{seconds:g}")

    def _make_safe(self) -> None:
        self._store.write_safe(self._running.config)
        self._dirty = False
