# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a Prometheus scrapes of covirt-host: each part tells its own."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


class MetricSource(Protocol):
    """A part with figures."""

    def metrics(self) -> "Iterable[Metric]":
        """From what it knows already; waits for nothing."""
        ...


class _Collector:
    def __init__(self, sources: Iterable[MetricSource]) -> None:
        self._sources = tuple(sources)

    def collect(self) -> "Iterator[Metric]":
        for source in self._sources:
            yield from source.metrics()


def page_maker(sources: Iterable[MetricSource]) -> Callable[[], tuple[str, bytes]]:
    """A function that gives content type and text of a page in Prometheus' format."""
    collector = _Collector(sources)
    registry: CollectorRegistry | None = None

    def page() -> tuple[str, bytes]:
        nonlocal registry
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

        if registry is None:
            registry = CollectorRegistry(auto_describe=False)
            ProcessCollector(registry=registry)
            registry.register(collector)
        return CONTENT_TYPE_LATEST, generate_latest(registry)

    return page
