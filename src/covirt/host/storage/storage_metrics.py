# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage domains for a Prometheus: whether each answers, how fast, and how much room it has."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from covirt.host.storage.monitor import StorageMonitor

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class StorageMetrics:
    """covirt.host.metrics.MetricSource, from the last looks at domains."""

    def __init__(self, monitor: StorageMonitor) -> None:
        self._monitor = monitor

    def metrics(self) -> "Iterable[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        def family(name: str, text: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"covirt_host_storage_domain_{name}", text, labels=["domain"])

        well, delay = family("up", "Whether it answers"), family("delay_seconds", "What the last look at it took")
        age = family("check_age_seconds", "Since the last look at it")
        total, free = family("bytes", "How large it is"), family("free_bytes", "Its room")
        now = time.monotonic()
        for domain_id, health in sorted(self._monitor.health().items()):
            well.add_metric([domain_id], float(health.error is None))
            delay.add_metric([domain_id], health.delay_seconds)
            age.add_metric([domain_id], max(0.0, now - health.checked_at))
            if health.space is not None:
                total.add_metric([domain_id], health.space.total_bytes)
                free.add_metric([domain_id], health.space.free_bytes)
        return well, delay, age, total, free
