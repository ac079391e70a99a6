# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Records of networks that somebody else has written."""

from pathlib import Path

import pytest

from covirt.common.files import BrokenFile
from covirt.host.network.store import NetworkStore


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"version": 1}', '{"version": 1, "networks": [], "bonds": {}}',
     '{"version": 1, "networks": {"a": {"nick": "eth0"}}, "bonds": {}}'],
)  # fmt: skip
def test_a_record_of_another_form_is_named_with_what_is_wrong(tmp_path: Path, text: str) -> None:
    store = NetworkStore(state_dir=tmp_path / "state", run_dir=tmp_path / "run")
    for directory in ("state", "run"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "networks.json").write_text(text)
    with pytest.raises(BrokenFile, match=r"state/networks\.json is not readable"):
        store.safe()
    with pytest.raises(BrokenFile, match=r"run/networks\.json is not readable"):
        store.running()
