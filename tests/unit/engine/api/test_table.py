# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The table of types is what the installed SDK says."""

import importlib

from covirt.engine.api.codec.table import SERVICES, TYPES
from tools import api_table

_SPELLED_OTHERWISE = ("host_numa_nodes", "transparent_hugepages")


def test_the_table_is_what_the_installed_sdk_says() -> None:
    assert api_table.TABLE.read_text() == api_table.text(), "run .venv/bin/python -m tools.api_table"


def test_readers_and_writers_of_the_sdk_agree_with_the_table() -> None:
    assert len(TYPES) >= 220
    assert TYPES["Vm"].fields["disk_attachments"].item == "disk_attachment"
    assert TYPES["Vm"].fields["host_numa_nodes"].item == "host_numa_node"
    assert TYPES["Vm"].fields["mediated_devices"].item == "vm_mediated_device"
    assert TYPES["Vm"].links["diskattachments"] == "disk_attachments"


def test_every_field_is_an_argument_of_the_sdks_type() -> None:
    """By another way than the table was made: the SDK's constructors."""
    types = importlib.import_module("ovirtsdk4.types")
    # where the tag is not the argument's name: words of Python, and two that oVirt spells in two ways
    spelled_otherwise = {"async", "from", "import", *_SPELLED_OTHERWISE}
    for name, kind in TYPES.items():
        arguments = set(getattr(types, name).__init__.__code__.co_varnames)
        assert not kind.fields.keys() - arguments - spelled_otherwise, name


def test_services_have_their_actions_and_children() -> None:
    assert "start" in SERVICES["Vm"].actions
    assert SERVICES["Vm"].children["nics"] == "VmNics"
    assert "max: integer" in SERVICES["Vms"].methods["get"]
