# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tickets for streams: each once, each for a while, and no more of them than there may be."""

import pytest

from covirt.engine.commands.asked import Asked
from covirt.engine.console import tickets as module
from covirt.engine.console.errors import BadTicket, TooManyStreamTickets
from covirt.engine.console.request import parse_request
from covirt.engine.console.tickets import Granted, StreamTickets


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def granted(user: str = "cook", **request: object) -> Granted:
    wanted = parse_request({"kind": "exec", "command": ["id"], **request})
    return Granted(asked=Asked(user_id=user, user_name=user), session_id=None, vm_id="soup", request=wanted)


def test_a_ticket_is_good_once() -> None:
    tickets = StreamTickets()
    ticket = tickets.issue(granted())
    assert tickets.take(ticket) == granted()
    with pytest.raises(BadTicket):
        tickets.take(ticket)


def test_a_ticket_is_good_for_a_while() -> None:
    clock = Clock()
    tickets = StreamTickets(clock=clock)
    ticket = tickets.issue(granted())
    clock.now += 60
    with pytest.raises(BadTicket):
        tickets.take(ticket)


@pytest.mark.parametrize("wrong", ["", "x", "a.b.c", "\ud800", "eyJhbGciOiJub25lIn0.eyJqdGkiOiJ4In0."])
def test_what_is_no_ticket(wrong: str) -> None:
    with pytest.raises(BadTicket):
        StreamTickets().take(wrong)


def test_nothing_of_a_command_is_in_its_ticket_or_in_what_is_shown_of_it() -> None:
    wanted = granted(environment={"KEY": "s3cret"}, command=["env", "s3cret"])
    assert "s3cret" not in repr(wanted)
    assert wanted.request.told == "the command env"
    assert "s3cret" in wanted.request.first.decode()


def test_tickets_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TICKETS", 2)
    clock = Clock()
    tickets = StreamTickets(clock=clock)
    for _ in range(2):
        tickets.issue(granted())
    with pytest.raises(TooManyStreamTickets):
        tickets.issue(granted())
    clock.now += 61
    tickets.issue(granted())


def test_one_user_does_not_take_all_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_ONE", 1)
    tickets = StreamTickets()
    tickets.issue(granted("cook"))
    with pytest.raises(TooManyStreamTickets, match="1 tickets for streams wait to be used, 1 of them yours"):
        tickets.issue(granted("cook"))
    tickets.issue(granted("baker"))


def test_a_command_s_name_makes_no_lines_of_its_own() -> None:
    assert "\n" not in granted(command=["a\nb" * 100]).request.told
    assert len(granted(command=["a\nb" * 100]).request.told) < 100
