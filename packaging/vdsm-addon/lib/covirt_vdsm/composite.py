# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The connection that Vdsm gets: libvirt's, with virtocid's containers among its domains.

Machines come first: a question that libvirt can answer is answered by libvirt alone, and where an answer is made of
both, virtocid's part is waited for only so long.
"""

import contextlib
import logging
import time
from typing import Any, Final, Optional

import libvirt

from covirt_vdsm import dialect, errors
from covirt_vdsm.calls import Pending
from covirt_vdsm.domains import ContainerDomain
from covirt_vdsm.link import Link

log = logging.getLogger("covirt.vdsm")

Stats = list[tuple[Any, dict[str, Any]]]

_DOWN: Final = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED)


class Composite:
    """What is not here is libvirt's own, as it is."""

    def __init__(self, machines: Any, link: Link) -> None:
        self._machines = machines
        self._link = link
        self._subscriptions: dict[int, int] = {}
        self._sample: tuple[float, Stats] = (0.0, [])

    def __getattr__(self, name: str) -> Any:
        if name == "_machines":  # before there is one
            raise AttributeError(name)
        return getattr(self._machines, name)

    # Definitions

    def defineXML(self, xml: str) -> Any:  # noqa: N802  # libvirt's names, here and below
        return self._define(xml, ())

    def defineXMLFlags(self, xml: str, flags: int = 0) -> Any:  # noqa: N802
        return self._define(xml, (flags,))

    def _define(self, xml: str, flags: tuple[int, ...]) -> Any:
        try:
            root = dialect.container_in(xml)
        except ValueError as error:
            raise errors.made(libvirt.VIR_ERR_XML_ERROR, f"the domain's XML cannot be used: {error}") from error
        method = "defineXMLFlags" if flags else "defineXML"
        if root is None:
            return getattr(self._machines, method)(xml, *flags)
        uuid = (root.findtext("uuid") or "").strip()
        placeholder = self._machine(uuid)
        if placeholder is not None and placeholder.state(0)[0] not in _DOWN:
            raise errors.made(
                libvirt.VIR_ERR_OPERATION_INVALID, f"a virtual machine with the UUID {uuid} runs on this host"
            )
        found = self._link.ask(
            lambda live: getattr(live, method)(xml, *flags), seconds=self._link.settings.call_seconds
        )
        if placeholder is not None:
            self._remove_placeholder(placeholder, found)
        return self._link.adopt(found)

    def _remove_placeholder(self, placeholder: Any, container: Any) -> None:
        """Vdsm defines one before it knows more; of the two, the container stays."""
        try:
            placeholder.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        except libvirt.libvirtError as error:
            if not errors.means_absent(error):
                with contextlib.suppress(libvirt.libvirtError):
                    container.undefine()
                raise

    def _machine(self, uuid: str) -> Optional[Any]:
        try:
            return self._machines.lookupByUUIDString(uuid)
        except libvirt.libvirtError as error:
            if errors.means_absent(error):
                return None
            raise

    # One domain

    def lookupByUUIDString(self, uuid: str) -> Any:  # noqa: N802
        known = self._link.known(uuid)
        return self._lookup("lookupByUUIDString", uuid, known)

    def lookupByUUID(self, uuid: bytes) -> Any:  # noqa: N802
        text = uuid.hex()
        return self.lookupByUUIDString("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))

    def lookupByName(self, name: str) -> Any:  # noqa: N802
        return self._lookup("lookupByName", name, self._link.named(name))

    def _lookup(self, method: str, key: str, known: Optional[ContainerDomain]) -> Any:
        """A known container is asked for first, because a placeholder may still be on the other side."""
        if known is not None and self._exists(known):
            return known
        try:
            return getattr(self._machines, method)(key)
        except libvirt.libvirtError as error:
            if not errors.means_absent(error):
                raise
            try:
                return self._link.adopt(self._link.ask(lambda live: getattr(live, method)(key)))
            except libvirt.libvirtError:
                raise error from None

    def _exists(self, known: ContainerDomain) -> bool:
        """Without an answer it does: it was there, and nobody but virtocid ends it."""
        try:
            self._link.ask(lambda live: live.lookupByUUIDString(known.UUIDString()))
        except libvirt.libvirtError as error:
            if errors.means_absent(error):
                self._link.forget(known.UUIDString())
                return False
        return True

    # All domains

    def listAllDomains(self, flags: int = 0) -> list[Any]:  # noqa: N802
        self._link.wait_until_tried()
        pending: Optional[Pending[list[Any]]] = None
        with contextlib.suppress(libvirt.libvirtError):
            pending = self._link.begin(lambda live: live.listAllDomains(flags))
        machines = self._machines.listAllDomains(flags)
        found = None if pending is None else self._part(pending)
        containers = [self._link.adopt(domain) for domain in found or ()]
        if not flags:
            self._link.listed(all_shown=found is not None)
        # A Vdsm that was killed between its two definitions left the first on libvirt's side.
        hidden = {domain.UUIDString() for domain in containers}
        return [domain for domain in machines if domain.UUIDString() not in hidden] + containers

    def getAllDomainStats(self, stats: int = 0, flags: int = 0) -> Stats:  # noqa: N802
        try:
            pending = self._link.begin(lambda live: live.getAllDomainStats(stats=stats, flags=flags))
        except libvirt.libvirtError:
            return list(self._machines.getAllDomainStats(stats=stats, flags=flags)) + self._last_sample()
        machines = list(self._machines.getAllDomainStats(stats=stats, flags=flags))
        found = self._part(pending)
        if found is None:
            return machines + self._last_sample()
        containers = [(self._link.adopt(domain), numbers) for domain, numbers in found]
        self._sample = (time.monotonic(), containers)
        return machines + containers

    def domainListGetStats(self, doms: list[Any], stats: int = 0, flags: int = 0) -> Stats:  # noqa: N802
        containers = [domain for domain in doms if isinstance(domain, ContainerDomain)]
        machines = [domain for domain in doms if not isinstance(domain, ContainerDomain)]
        pending = None
        if containers:
            with contextlib.suppress(libvirt.libvirtError):
                pending = self._link.begin(lambda live: _stats_of(live, containers, stats, flags))
        answer = list(self._machines.domainListGetStats(machines, stats=stats, flags=flags)) if machines else []
        found = None if pending is None else self._part(pending)
        return answer + [(self._link.adopt(domain), numbers) for domain, numbers in found or ()]

    def _part(self, pending: Pending[list[Any]]) -> Optional[list[Any]]:
        """virtocid's part of an answer; None when there is none, whatever the reason: the machines' part is there."""
        try:
            return pending.result(self._link.settings.answer_seconds)
        except libvirt.libvirtError as error:
            log.warning("An answer is without containers: %s", error)
        except Exception:
            log.exception("An answer is without containers")
        return None

    def _last_sample(self) -> Stats:
        taken, containers = self._sample
        if time.monotonic() - taken > self._link.settings.sample_lifetime_seconds:
            return []
        return [pair for pair in containers if self._link.known(pair[0].UUIDString()) is not None]

    # Events, and the end

    def domainEventRegisterAny(self, dom: Any, eventID: int, cb: Any, opaque: Any) -> int:  # noqa: N802, N803
        if isinstance(dom, ContainerDomain):
            # Numbers of libvirt's are not negative.
            return -self._link.events.subscribe(self, dom, eventID, cb, opaque)
        number = int(self._machines.domainEventRegisterAny(dom, eventID, cb, opaque))
        if dom is None:
            self._subscriptions[number] = self._link.events.subscribe(self, None, eventID, cb, opaque)
        return number

    def domainEventDeregisterAny(self, callbackID: int) -> Any:  # noqa: N802, N803
        if callbackID < 0:
            self._link.events.unsubscribe(-callbackID)
            return 0
        self._link.events.unsubscribe(self._subscriptions.pop(callbackID, 0))
        return self._machines.domainEventDeregisterAny(callbackID)

    def close(self) -> Any:
        for number in self._subscriptions.values():
            self._link.events.unsubscribe(number)
        self._subscriptions.clear()
        return self._machines.close()


def _stats_of(live: Any, containers: list[ContainerDomain], stats: int, flags: int) -> list[Any]:
    """In one call; and as with libvirt, what is not there any more is left away."""
    try:
        return list(live.domainListGetStats([domain.live() for domain in containers], stats, flags))
    except libvirt.libvirtError as error:
        if not errors.means_absent(error):
            raise
    present = [domain for domain in containers if _is_there(live, domain)]
    return list(live.domainListGetStats([domain.live() for domain in present], stats, flags)) if present else []


def _is_there(live: Any, domain: ContainerDomain) -> bool:
    try:
        live.lookupByUUIDString(domain.UUIDString())
    except libvirt.libvirtError as error:
        if errors.means_absent(error):
            return False
        raise
    return True
