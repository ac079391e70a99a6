# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events reach whoever has joined."""

from collections.abc import Mapping

from covirt.host.events import Events
from covirt.hostapi.json import JsonValue


def test_events_go_to_who_has_joined() -> None:
    events = Events()
    seen: list[tuple[str, str, Mapping[str, JsonValue]]] = []
    events.publish("|virt|VM_status|a", {"a": {"status": "Up"}})
    events.join(lambda destination, method, params: seen.append((destination, method, params)))
    events.publish("|virt|VM_status|b", {"b": {"status": "Down"}})
    [(destination, method, params)] = seen
    assert (destination, method, params["b"]) == ("jms.queue.events", "|virt|VM_status|b", {"status": "Down"})
    assert isinstance(params["notify_time"], int)
