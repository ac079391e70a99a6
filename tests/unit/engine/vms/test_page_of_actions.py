# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""docs/engine-vm-actions.md."""

from tools.vm_actions.page import PAGE


def test_the_page_of_actions_is_what_the_code_says() -> None:
    assert PAGE.stale() == ""
