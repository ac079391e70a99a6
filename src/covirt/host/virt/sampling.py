# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One bulk call a period and connection; what it answered last is what everybody reads, whatever hangs meanwhile."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import libvirt

from covirt.host.virt.connection import Connection
from covirt.host.virt.errors import HypervisorUnavailable
from covirt.host.virt.silence import Question

log = logging.getLogger(__name__)

_STATS: Final = (
    libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU | libvirt.VIR_DOMAIN_STATS_INTERFACE | libvirt.VIR_DOMAIN_STATS_BLOCK
)  # fmt: skip
# Domains that are busy give what can be had without waiting for them.
_FLAGS: Final = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """``taken``: seconds of the monotonic clock; ``wall``: since 1970."""

    taken: float
    wall: float
    domains: Mapping[str, Values]  # by UUID, with libvirt's keys


_NONE: Final = Sample(taken=0.0, wall=0.0, domains=MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The last two, swapped in one step."""

    last: Sample = _NONE
    before: Sample = _NONE


class Sampler:
    """``told``: called in its thread once a period."""

    def __init__(
        self, connection: Connection, *, period_seconds: float, told: Callable[[], object] = lambda: None
    ) -> None:
        self._connection = connection
        self._period_seconds = period_seconds
        self._told = told
        self._samples = Samples()
        self._question = Question()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"vm-samples-{connection.name}", daemon=True)

    @property
    def samples(self) -> Samples:
        return self._samples

    @property
    def silent(self) -> bool:
        """Whether its libvirt hangs in this call; it may answer others."""
        return self._question.is_overdue

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """One that hangs in libvirt is left to its fate."""
        self._stopping = True
        self._wake.set()
        self._thread.join(2)

    def wake(self) -> None:
        """Take a sample now: something has started."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                with self._question.asked():
                    sample = self._take()
            except (libvirt.libvirtError, HypervisorUnavailable) as error:
                log.debug("No sample connection=%s error=%s", self._connection.name, error)
            else:
                self._samples = Samples(last=sample, before=self._samples.last)
            self._told()
            self._wake.wait(self._period_seconds)

    def _take(self) -> Sample:
        answers = self._connection.get().getAllDomainStats(_STATS, _FLAGS)
        return Sample(
            taken=time.monotonic(),
            wall=time.time(),
            domains=MappingProxyType({domain.UUIDString(): values for domain, values in answers}),
        )
