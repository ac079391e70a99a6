# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Debian's prometheus-libvirt-exporter, unmodified, tells the metrics of a running container."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from covirt.common.process import DEVNULL, spawn
from tests.support.network import LinuxBridge, fetch
from tests.support.virtocid import Virtocid, bridge_device
from tests.support.waiting import free_port, wait_until


@contextmanager
def exported(virtocid: Virtocid) -> Iterator[str]:
    """The address of an exporter's metrics."""
    port = free_port()
    argv = ["prometheus-libvirt-exporter", "--libvirt.uri", virtocid.readonly_uri, "--web.listen-address", f":{port}"]
    with spawn(argv, stdout=DEVNULL, stderr=DEVNULL):
        yield f"http://127.0.0.1:{port}/metrics"


def metrics(url: str) -> dict[str, float]:
    """``name{labels}`` -> value, of libvirt's metrics only."""
    text = fetch(url).decode()
    found = re.findall(r"^(libvirt_\S+?(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_metrics_of_a_container(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    disk = f"<disk type='file' device='cdrom'><source file='{virtocid.image}'/><target dev='sda'/><readonly/></disk>"
    device = bridge_device(linux_bridge.name, f"{linux_bridge.guest_address(2)}/24", more="<target dev='shop0'/>")
    virtocid.run("busy", ("/bin/sh", "-c", "while :; do :; done"), image="", devices=disk + device)
    with exported(virtocid) as url:
        first = metrics(url)
        assert first["libvirt_up"] == 1
        names = {re.sub(r"\{.*", "", name) for name in first}
        assert {
            "libvirt_domain_info_maximum_memory_bytes",
            "libvirt_domain_info_memory_usage_bytes",
            "libvirt_domain_info_virtual_cpus",
            "libvirt_domain_info_cpu_time_seconds_total",
            "libvirt_domain_interface_stats_receive_bytes_total",
            "libvirt_domain_interface_stats_transmit_packets_total",
        } <= names
        assert value(first, "maximum_memory_bytes", "busy") == 64 << 20
        assert value(first, "virtual_cpus", "busy") == 1
        assert any("receive_bytes" in name and 'target_device="shop0"' in name for name in first)
        seconds = value(first, "cpu_time_seconds_total", "busy")
        wait_until(lambda: value(metrics(url), "cpu_time_seconds_total", "busy") > seconds, what="more CPU time")


def value(found: dict[str, float], metric: str, domain: str) -> float:
    (one,) = (number for name, number in found.items() if metric in name and f'domain="{domain}"' in name)
    return one


def test_metrics_while_nothing_runs(virtocid: Virtocid) -> None:
    virtocid.define("idle")
    with exported(virtocid) as url:
        assert metrics(url)["libvirt_up"] == 1
    assert "handler failed" not in virtocid.log
