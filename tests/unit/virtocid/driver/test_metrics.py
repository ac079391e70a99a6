# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The page that a Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from covirt.virtocid.driver.health_plan import HealthState, HealthStatus
from covirt.virtocid.driver.metrics import page_maker
from tests.support.fake_services import FakeHost


def samples(host: FakeHost) -> dict[tuple[str, ...], float]:
    kind, text = page_maker(host.driver.domains, host.services.counters)()
    assert kind.startswith("text/plain")
    families = text_string_to_metric_families(text.decode())
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_the_page(host: FakeHost) -> None:
    domain = host.run("web")
    host.define("idle")
    assert domain.run is not None
    domain.update(
        health=HealthState(
            run_number=domain.run.run_number, kind="tcp", since="now", status=HealthStatus.UNHEALTHY, streak=4
        )
    )
    found = samples(host)
    uuid = str(domain.uuid)
    assert found["virtocid_domains", "running"] == 1
    assert found["virtocid_domains", "shutoff"] == 1
    assert found["virtocid_domain_health", *sorted((uuid, "unhealthy", "web"))] == 1
    assert found["virtocid_domain_health", *sorted((uuid, "healthy", "web"))] == 0
    assert found["virtocid_domain_health_failing_streak", *sorted((uuid, "web"))] == 4
    assert ("virtocid_stops_total", "destroy") not in found
    assert found["process_resident_memory_bytes",] > 1e6
    assert any(name == "virtocid_build_info" for name, *_ in found)
    host.driver.lifecycle.destroy(domain, graceful=False)
    found = samples(host)
    assert found["virtocid_stops_total", "destroy"] == 1
    assert found["virtocid_restarts_total",] == 0
    assert found["virtocid_domains", "shutoff"] == 2
    assert not [name for name, *_ in found if name == "virtocid_domain_health"]
