# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a Prometheus scrapes of covirt-engine: the engine's own figures, and hosts and guests taken together."""

import logging
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from covirt.common.errors import Unavailable
from covirt.engine.model.host import HostStatus
from covirt.engine.store.figures import Figures, HostFigure

log = logging.getLogger(__name__)

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the page, and tell nothing

Key = TypeVar("Key", bound=str | tuple[str, ...])

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"))
# Path -> what it is counted as. All that clients may invent is one.
_AREAS: Final = (
    ("/ovirt-engine/api", "api"),
    ("/ovirt-engine/sso", "sso"),
    ("/ovirt-engine/services", "services"),
    ("/covirt", "covirt"),
)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class EngineMetrics:
    """Figures of requests, and at each page those of the installation; threads may share it.

    ``figures`` raises Unavailable when the database does not answer; the page says so then, and has the rest.
    """

    def __init__(self, *, figures: Callable[[], Figures], streams: Callable[[], Mapping[str, int]] = dict) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "covirt_engine_requests",
            "Requests that were answered",
            ("area", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "covirt_engine_request_seconds",
            "How long answers took",
            ("area",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_Installation(figures, streams))

    def answered(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """A request got its answer."""
        area = next((name for prefix, name in _AREAS if path.startswith(prefix)), "other")
        self._requests.labels(area, method if method in _METHODS else "other", str(status)).inc()
        self._seconds.labels(area).observe(seconds)

    def page(self) -> tuple[str, bytes]:
        """Content type and text in Prometheus' format."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)


class _Installation(Collector):
    """Asks the database once for each page."""

    def __init__(self, figures: Callable[[], Figures], streams: Callable[[], Mapping[str, int]]) -> None:
        self._figures = figures
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        yield _gauge("streams", "Displays, consoles, commands and logs that are open", ("kind",), self._streams())
        try:
            known: Figures | None = self._figures()
        except Unavailable as error:
            log.warning("Figures are told without those of the database reason=%s", error)
            known = None
        yield _gauge("database_up", "Whether the database answers", (), {(): float(known is not None)})
        if known is not None:
            yield from _of_the_engine(known)
            yield from _of_guests(known)
            yield from _of_hosts(known)
            yield from _of_storage(known)


def _of_the_engine(known: Figures) -> Iterator[Metric]:
    yield _gauge("login_sessions", "Tokens that are not yet over", (), {(): known.sessions})
    yield _gauge("operations_running", "Durable operations under way", ("action",), known.operations)


def _of_guests(known: Figures) -> Iterator[Metric]:
    yield _gauge("vms", "Guests of both kinds", ("cluster", "kind", "status"), known.guests)
    labels, use = ("cluster", "kind"), known.use
    yield _gauge("vm_cpus", "Processors of guests that run", labels, {key: each.cpus for key, each in use.items()})
    used = {key: each.cpus_used for key, each in use.items()}
    yield _gauge("vm_cpus_used", "Of these, how many are busy", labels, used)
    memory = {key: each.memory_used_bytes for key, each in use.items()}
    yield _gauge("vm_memory_used_bytes", "Memory that guests use", labels, memory)


def _of_hosts(known: Figures) -> Iterator[Metric]:
    tally = Tally((each.cluster, str(each.facts.status)) for each in known.hosts)
    yield _gauge("hosts", "Hosts", ("cluster", "status"), tally)
    # What was said by one that is silent now is no figure of this moment.
    up = [each for each in known.hosts if each.facts.status is HostStatus.UP]
    for name, text, value in _HOST_GAUGES:
        found = {(each.cluster, each.name): value(each) for each in up}
        yield _gauge(name, text, ("cluster", "host"), found)
    seen = {
        (each.cluster, each.name): each.facts.seen_at.timestamp()
        for each in known.hosts
        if each.facts.seen_at is not None
    }
    yield _gauge("host_seen_timestamp_seconds", "When it last answered", ("cluster", "host"), seen)


def _of_storage(known: Figures) -> Iterator[Metric]:
    yield _gauge("storage_domains", "Storage domains", ("status",), Tally(each.status for each in known.storage))
    labels = ("storage_domain",)
    sizes = {each.name: each.facts.available_bytes for each in known.storage}
    yield _gauge("storage_domain_available_bytes", "Room that is left", labels, sizes)
    sizes = {each.name: each.facts.used_bytes for each in known.storage}
    yield _gauge("storage_domain_used_bytes", "Room that is taken", labels, sizes)
    sizes = {each.name: each.facts.committed_bytes for each in known.storage}
    yield _gauge("storage_domain_committed_bytes", "What disks may grow to", labels, sizes)


_HOST_GAUGES: Final[tuple[tuple[str, str, Callable[[HostFigure], float]], ...]] = (
    ("host_cpu_busy_ratio", "Share of its processors", lambda each: 1 - each.facts.figures.cpu_idle_percent / 100),
    ("host_memory_bytes", "Memory that it has", lambda each: each.facts.memory_bytes),
    ("host_memory_free_bytes", "Memory that is free", lambda each: each.facts.memory_free_bytes),
    ("host_vms", "Guests that run on it", lambda each: each.facts.vms_active),
)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Mapping[Key, float]) -> GaugeMetricFamily:
    """A key is the label's value, or those of all labels."""
    family = GaugeMetricFamily(f"covirt_engine_{name}", text, labels=labels)
    for key, value in sorted(values.items(), key=str):
        family.add_metric([key] if isinstance(key, str) else key, value)
    return family
