# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a host that cannot be are refused before it serves."""

from pathlib import Path

import pytest

from covirt.common.config import BadConfigValue
from covirt.common.root import Root
from covirt.host.config import HostConfig, load_host_config


def load(path: Path, text: str) -> HostConfig:
    root = Root(path)
    directory = root.config_dir / "host.d"
    directory.mkdir(parents=True)
    (directory / "a.toml").write_text(text)
    return load_host_config(root)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("log_level = 'bananas'", "log_level must be one of debug, info, warning, error, and is 'bananas'"),
        ("virt.display_address = 'not an address'", "virt.display_address must be an IP address or a host name"),
        ("virt.display_address = ''", "virt.display_address must be an IP address or a host name"),
        ("rpc.listen = '300.0.0.1'", "rpc.listen must be an IP address or a host name"),
    ],
)
def test_values_that_cannot_be(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadConfigValue) as refused:
        load(tmp_path, text)
    assert complaint in str(refused.value)


def test_values_that_may_be(tmp_path: Path) -> None:
    config = load(tmp_path, "log_level = 'debug'\nvirt.display_address = 'displays.example.com'\nrpc.listen = '::1'")
    assert (config.log_level, config.virt.display_address) == ("debug", "displays.example.com")
