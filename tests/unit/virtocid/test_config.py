# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virtocid's own settings."""

import json

import pytest

from covirt.common.config import BadConfigValue, config_json
from covirt.common.root import Root
from covirt.virtocid.config import VirtocidConfig, load_virtocid_config


def write(root: Root, text: str) -> None:
    directory = root.config_dir / "virtocid.d"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "50-test.toml").write_text(text)


def test_a_runtime_is_added_beside_the_default_ones(root_dir: Root) -> None:
    write(root_dir, "[runtimes.youki]\npath = '/opt/youki'\narguments = ['--log', 'x']\nkind = 'runc'")
    runtimes = {item.name: item for item in load_virtocid_config(root_dir).runtime_configs}
    assert sorted(runtimes) == ["crun", "runc", "youki"]
    assert runtimes["crun"].path == "crun"
    assert (runtimes["youki"].path, runtimes["youki"].arguments, runtimes["youki"].kind) == (
        "/opt/youki",
        ("--log", "x"),
        "runc",
    )


def test_the_default_runtime_comes_first(root_dir: Root) -> None:
    write(root_dir, "container.default_runtime = 'runc'")
    assert load_virtocid_config(root_dir).runtime_configs[0].name == "runc"


@pytest.mark.parametrize(
    "text",
    [
        "ids.first = 1000",
        "ids.first = 0",
        "ids.ranges = 65000",
        "server.connection_names = ['xen:///']",
        "log_level = 'loud'",
        "slice.memory_percent = 0",
        "container.pids_limit = 0",
    ],
)
def test_values_that_cannot_work(root_dir: Root, text: str) -> None:
    write(root_dir, text)
    with pytest.raises(BadConfigValue):
        load_virtocid_config(root_dir)


def test_defaults_are_valid_by_their_own_checks(root_dir: Root) -> None:
    """What --show-config prints can be read as a file again."""
    shown = json.loads(config_json(VirtocidConfig()))
    lines = []
    for section, values in shown.items():
        if not isinstance(values, dict) or section == "runtimes":
            continue
        lines += [
            f"[{section}]",
            *(f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None),
        ]
    write(root_dir, "\n".join(lines))
    assert load_virtocid_config(root_dir) == VirtocidConfig()
