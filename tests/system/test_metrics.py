# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The daemon's own metrics, scraped over TCP as by a Prometheus."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.virtocid import SECONDS, Virtocid, serve_virtocid
from tests.support.waiting import wait_until

URL: Final = "http://127.0.0.1:9177/metrics"
CHECKED: Final = (
    "<covirt:health interval='0.2' retries='1'><covirt:command>false</covirt:command></covirt:health>"
    "<covirt:restart policy='on-failure' delay='3600' max-delay='3600'/>"
)


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path) -> Iterator[Virtocid]:
    with serve_virtocid(busybox_layout, configuration='[metrics]\nlisten = "127.0.0.1:9177"\n') as running:
        yield running


def scrape() -> str:
    with urllib.request.urlopen(URL, timeout=SECONDS) as answer:
        text: str = answer.read().decode()
        return text


def test_a_scrape(virtocid: Virtocid) -> None:
    virtocid.run("web", settings=CHECKED)
    uuid = virtocid.tell("domuuid", "web")
    wanted = f'virtocid_domain_health{{domain="web",status="unhealthy",uuid="{uuid}"}} 1.0'
    wait_until(lambda: wanted in scrape(), timeout_seconds=SECONDS, what=wanted)
    assert 'virtocid_domains{state="running"} 1.0' in scrape()
    assert "virtocid_domains_waiting 0.0" in scrape()
    virtocid.virsh("send-process-signal", "web", "1", "kill")
    wait_until(lambda: "virtocid_domains_waiting 1.0" in scrape(), timeout_seconds=SECONDS, what="a restart to come")
    stopped = 'virtocid_stops_total{cause="signaled"} 1.0'
    wait_until(lambda: stopped in scrape(), timeout_seconds=SECONDS, what="the stop to be counted")
    assert 'domain="web"' not in scrape()


def test_it_comes_back_with_the_daemon(virtocid: Virtocid) -> None:
    virtocid.restart()
    assert "virtocid_build_info" in scrape()
