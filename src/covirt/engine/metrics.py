# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a Prometheus scrapes of covirt-engine."""

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the page, and tell nothing

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"))
# Path -> what it is counted as. All that clients may invent is one.
_AREAS: Final = (("/ovirt-engine/api", "api"), ("/ovirt-engine/sso", "sso"), ("/ovirt-engine/services", "services"))
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class EngineMetrics:
    """Figures of requests and logins; threads may share it."""

    def __init__(self, *, sessions: Callable[[], int]) -> None:
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
        gauge = Gauge("covirt_engine_login_sessions", "Tokens that are not yet over", registry=self._registry)
        gauge.set_function(sessions)

    def answered(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """A request got its answer."""
        area = next((name for prefix, name in _AREAS if path.startswith(prefix)), "other")
        self._requests.labels(area, method if method in _METHODS else "other", str(status)).inc()
        self._seconds.labels(area).observe(seconds)

    def page(self) -> tuple[str, bytes]:
        """Content type and text in Prometheus' format."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)
