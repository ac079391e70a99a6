# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The page about the REST API says all that the engine answers."""

from tools.rest_api.page import PAGE
from tools.rest_api.table import absent, rows


def test_page_of_this_checkout_is_true() -> None:
    assert PAGE.stale() == ""


def test_what_is_answered_refused_and_missing() -> None:
    by_path = {row.path: row for row in rows()}
    assert {"list", "get", "search"} <= set(by_path["vms"].answered)
    assert by_path["templates"].refused == ["export"]
    assert by_path["openstackimageproviders"].refused == ["add"]
    assert by_path["vmpools"].always_empty
    assert not by_path["vms"].always_empty
    assert "vms/*/backups" in absent()
    assert "vms/*/nics" not in absent()
