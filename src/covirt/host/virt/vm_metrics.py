# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Guests for a Prometheus: how many in which status, what each uses, and whether both libvirts answer."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from covirt.host.virt.vms import Vms

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_LABELS: Final = ("vm", "name", "kind")


class VmMetrics:
    """covirt.host.metrics.MetricSource, from the last samples."""

    def __init__(self, vms: Vms) -> None:
        self._vms = vms

    def metrics(self) -> "Iterable[Metric]":
        yield from self._of_the_host()
        yield from self._of_guests()

    def _of_the_host(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        count = GaugeMetricFamily("covirt_host_vms", "Guests by kind and status", labels=["kind", "status"])
        statuses = Counter((vm.kind.value, vm.list_status.value) for vm in self._vms.all())
        for labels, number in sorted(statuses.items()):
            count.add_metric(labels, number)
        yield count
        connected = GaugeMetricFamily("covirt_host_libvirt_connected", "Whether it answers", labels=["name"])
        age = GaugeMetricFamily("covirt_host_sample_age_seconds", "Of the guests' statistics", labels=["name"])
        for kind, connection in self._vms.connections.items():
            connected.add_metric([connection.name], float(connection.state.connected))
            taken = self._vms.samplers[kind].samples.last.taken
            if taken:
                age.add_metric([connection.name], time.monotonic() - taken)
        yield connected
        yield age

    def _of_guests(self) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        cpu = CounterMetricFamily("covirt_host_vm_cpu_seconds", "Time of processors", labels=_LABELS)
        memory = GaugeMetricFamily("covirt_host_vm_memory_bytes", "What it may use now", labels=_LABELS)
        for vm in self._vms.all():
            values: Any = self._vms.samplers[vm.kind].samples.last.domains.get(vm.vm_id, {})
            labels = [vm.vm_id, vm.name, vm.kind.value]
            if "cpu.time" in values:
                cpu.add_metric(labels, values["cpu.time"] / 1e9)
            if "balloon.current" in values:
                memory.add_metric(labels, values["balloon.current"] * 1024)
        yield cpu
        yield memory
