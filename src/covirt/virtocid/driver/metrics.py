# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a Prometheus is told: numbers that are there anyway. No runtime is asked, no lock of a domain is taken.

prometheus_client is imported with the first page, since most hosts serve none.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from covirt import __version__
from covirt.virtocid.driver.counters import Counters
from covirt.virtocid.driver.health_plan import HealthStatus
from covirt.virtocid.driver.registry import Domains
from covirt.wire.constants import DomainState

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry


class DomainCollector:
    """A custom collector over all domains, for registration in a registry of prometheus_client."""

    def __init__(self, domains: Domains, counters: Counters) -> None:
        self._domains = domains
        self._counters = counters

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily, InfoMetricFamily

        yield InfoMetricFamily("virtocid_build", "The program", value={"version": __version__})
        yield from self._states()
        yield from self._health()
        restarts = CounterMetricFamily("virtocid_restarts", "Restarts by a policy since virtocid started")
        restarts.add_metric([], self._counters.restarts.values.get("", 0))
        yield restarts
        stops = CounterMetricFamily("virtocid_stops", "Ends of containers since virtocid started", labels=["cause"])
        for cause, count in sorted(self._counters.stops.values.items()):
            stops.add_metric([cause], count)
        yield stops
        checks = CounterMetricFamily(
            "virtocid_health_checks", "Health checks since virtocid started", labels=["result"]
        )
        for result, count in sorted(self._counters.health_checks.values.items()):
            checks.add_metric([result], count)
        yield checks

    def _states(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        domains = self._domains.all()
        counted = Counter(DomainState(domain.state[0]).name.lower() for domain in domains)
        states = GaugeMetricFamily("virtocid_domains", "Domains by their state", labels=["state"])
        for state in DomainState:
            states.add_metric([state.name.lower()], counted[state.name.lower()])
        yield states
        waiting = sum(not domain.active and domain.facts.restart.due_seconds is not None for domain in domains)
        yield GaugeMetricFamily("virtocid_domains_waiting", "Domains that wait for their restart", value=waiting)
        gave_up = sum(domain.facts.restart.gave_up for domain in domains)
        yield GaugeMetricFamily("virtocid_domains_given_up", "Domains that failed too often", value=gave_up)

    def _health(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        labels = ["domain", "uuid"]
        health = GaugeMetricFamily(
            "virtocid_domain_health",
            "1 for the status that a running, checked domain has",
            labels=[*labels, "status"],
        )
        streaks = GaugeMetricFamily("virtocid_domain_health_failing_streak", "Failed checks in a row", labels=labels)
        for domain in self._domains.all():
            state = domain.health
            if state is None:
                continue
            names = [domain.name, str(domain.uuid)]
            for status in HealthStatus:
                health.add_metric([*names, status], int(state.status is status))
            streaks.add_metric(names, state.streak)
        yield health
        yield streaks


def page_maker(domains: Domains, counters: Counters) -> Callable[[], tuple[str, bytes]]:
    """A function that gives content type and text of a page in Prometheus' format."""
    registry: CollectorRegistry | None = None

    def page() -> tuple[str, bytes]:
        nonlocal registry
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

        if registry is None:
            registry = CollectorRegistry(auto_describe=False)
            ProcessCollector(registry=registry)
            registry.register(DomainCollector(domains, counters))
        return CONTENT_TYPE_LATEST, generate_latest(registry)

    return page
