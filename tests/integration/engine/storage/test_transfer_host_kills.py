# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host that is killed after each call that an engine makes of it for a transfer, whose answer is lost."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from covirt.engine.hosts.errors import HostUncertain
from covirt.engine.storage.preparation import StoragePreparation
from covirt.rpc.jsonrpc import Json
from tests.support.transfer_site import DATA, Place, new_place
from tests.support.waiting import wait_until

pytestmark = pytest.mark.root


@contextmanager
def killed(place: Place, after: int) -> Iterator[list[str]]:
    """The host, after so many calls, whose last answer is lost; the calls."""
    hosts, host, calls = place.site.hosts, place.site.covirt_host, list[str]()
    call = hosts.call

    def mortal(host_id: str, verb: str, params: Mapping[str, Json] | None = None, **named: Any) -> Json:
        answer = call(host_id, verb, params, **named)
        calls.append(verb)
        if len(calls) == after:
            host.kill()
            host.start()
            wait_until(lambda: hosts.is_up(hosts.host_id), what="the host to be back")
            StoragePreparation(store=place.site.store, hosts=hosts)(hosts.host_id)
            raise HostUncertain(host="one", verb=verb, reason="the connection was lost")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "call", mortal)
        yield calls


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_the_host_is_killed_in_the_middle(after: int) -> None:
    """What had begun is undone, or is done again; no ticket and no server is left."""
    with new_place() as place:
        disk = place.disk("shaken", "cow")
        with killed(place, after) as calls:
            assert "the connection was lost" in str(place.begin(disk, "upload", 503, format="raw"))
            place.site.settle()
        assert len(calls) > after
        assert place.status(disk) == "ok"
        assert not place.tickets_held()
        transfer = place.begin(disk, "upload", format="raw")
        assert place.client(transfer).upload(DATA) == 200
        with killed(place, after):
            assert "the connection was lost" in str(place.act(transfer, "finalize", 503))
        assert (place.phase(transfer), place.status(disk)) == ("paused_system", "locked")
        place.act(transfer, "finalize")
        assert (place.phase(transfer), place.status(disk)) == ("finished_success", "ok")
        assert not place.tickets_held()
        assert not list((place.site.covirt_host.root.run_dir / "host/nbd").iterdir())
