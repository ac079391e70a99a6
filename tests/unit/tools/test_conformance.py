# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md is what the daemon's tables say, and those know every procedure by its right name."""

from pathlib import Path

import pytest
from lxml import etree

from covirt.virtocid.dispatch import HandlerTable
from covirt.wire.procedures import MESSAGES, PROCEDURES
from tools.conformance import table as conformance_table
from tools.conformance.page import PAGE
from tools.conformance.table import PROGRAMS, Listed, Status, Unanswered, conformance, listed_procedures

_API = Path("/usr/share/libvirt/api")
_LAST_OF_9_0 = 443


def test_the_page_is_true() -> None:
    assert PAGE.stale() == ""


def test_every_procedure_is_listed_once() -> None:
    numbers = [listed.number for listed in listed_procedures() if listed.program == "remote"]
    assert numbers == list(range(1, _LAST_OF_9_0 + 1))


def test_names_are_those_of_the_wire() -> None:
    names = {(PROGRAMS[listed.program], listed.number): listed.name for listed in listed_procedures()}
    for key, procedure in PROCEDURES.items():
        assert names[key] == procedure.name
    for message in MESSAGES.values():
        assert names[message.program, message.number] == message.name


@pytest.mark.skipif(not _API.exists(), reason="libvirt-dev is not installed")
def test_functions_are_libvirts() -> None:
    known = {
        str(function.get("name"))
        for name in ("libvirt-api.xml", "libvirt-qemu-api.xml", "libvirt-lxc-api.xml")
        for function in etree.parse(_API / name).iter("function")
    }
    assert {listed.function for listed in listed_procedures() if listed.function} <= known


def test_refusals_name_the_function_that_clients_call() -> None:
    table = conformance_table.table_without_driver()
    for listed in listed_procedures():
        refusal = table.refusal(PROGRAMS[listed.program], listed.number)
        if refusal is not None and listed.function is not None:
            assert refusal.function == listed.function


def test_events_that_are_sent() -> None:
    sent = {row.listed.number for row in conformance() if row.status is Status.SENT}
    assert {318, 319, 379} <= sent <= set(MESSAGES)
    assert 322 not in sent  # nothing ever reports an I/O error of a disk


def test_a_procedure_without_an_answer_is_found() -> None:
    lost = Listed(program="remote", number=9999, name="domain_get_lost", function="virDomainGetLost")
    with pytest.raises(Unanswered, match="domain_get_lost"):
        conformance_table._row(lost, HandlerTable(), frozenset())
