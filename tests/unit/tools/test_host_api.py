# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The page about verbs says all of the contract, and nothing else."""

import pytest

from covirt.hostapi.table import VERBS
from tools.host_api.page import PAGE, page


@pytest.fixture(scope="module")
def text() -> str:
    return page()


def test_page_of_this_checkout_is_true() -> None:
    assert PAGE.stale() == ""


@pytest.mark.parametrize("name", sorted(VERBS))
def test_a_verb_is_there_with_its_parameters(text: str, name: str) -> None:
    verb = VERBS[name]
    _, _, section = text.partition(f"\n### {name}\n")
    section = section.partition("\n### ")[0]
    assert verb.summary in section
    for key, field in verb.params.model_fields.items():
        needed = "yes" if field.is_required() else "no"
        row = next(line for line in section.splitlines() if line.startswith(f"| `{field.alias or key}` |"))
        assert row.endswith(f"| {needed} |")
    assert ("Extension" in section) == (verb.extension is not None)
