# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The codes of events: scripts act on them."""

import importlib
import pkgutil
from collections import defaultdict

import covirt.engine
from covirt.engine.commands.audit import AuditMessage


def test_no_two_messages_have_one_code() -> None:
    texts: dict[int, set[str]] = defaultdict(set)
    for module in pkgutil.walk_packages(covirt.engine.__path__, "covirt.engine."):
        if ".migrations" in module.name:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, AuditMessage):
                texts[value.code].add(value.text)
    assert len(texts) > 100
    assert {code: told for code, told in texts.items() if len(told) > 1} == {}
