# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that are wrong are named as they are on the wire, with what they must be, in plain words."""

from typing import Any

import pytest
from pydantic import ValidationError

from covirt.host.verbs.complaint import complaint
from covirt.hostapi.table import VERBS

VOLUME = {"volumeID": "v", "storagepoolID": "p", "storagedomainID": "d", "imageID": "i"}


@pytest.mark.parametrize(
    ("verb", "params", "told"),
    [
        ("VM.create", {}, "vmParams is missing"),
        ("VM.getStats", "text", "params must be an object"),
        ("VM.getStats", {"vmID": 7}, "vmID must be a text"),
        ("VM.setBalloonTarget", {"vmID": "a", "target": "bananas"}, "target must be a whole number"),
        ("VM.setBalloonTarget", {"vmID": "a", "target": None}, "target must be a whole number"),
        ("VM.setBalloonTarget", {"vmID": "a", "target": 1.5}, "target must be a whole number"),
        ("VM.setBalloonTarget", {"vmID": "a", "target": "9" * 5000}, "target must be a smaller number"),
        ("VM.shutdown", {"vmID": "a", "timeout": -1}, "timeout must be 0 or more"),
        ("VM.shutdown", {"vmID": "a", "timeout": 4000}, "timeout must be 3600 or less"),
        ("Host.getVMList", {"vmList": "a"}, "vmList must be a list"),
        ("Host.setupNetworks", {"networks": {"red": {"mtu": "x"}}}, "networks.red.mtu must be a whole number"),
        ("Host.setupNetworks", {"networks": {"red": {"stp": "x"}}}, "networks.red.stp must be true or false"),
        ("Host.setupNetworks", {"bondings": {"bond0": []}}, "bondings.bond0 must be an object"),
        (
            "VM.updateVmPolicy",
            {"vmID": "a", "params": {"ioTune": [{"maximum": {"read_bytes_sec": "x"}}]}},
            "params.ioTune.0.maximum.read_bytes_sec must be a whole number",
        ),
        (
            "VM.changeCD",
            {"vmID": "a", "driveSpec": {"iface": "ide", "index": 0, "drive_spec": 7}},
            "driveSpec.drive_spec must be an object or a text",
        ),
        (
            "Volume.create",
            {**VOLUME, "size": "5", "volFormat": [], "preallocate": 2},
            "volFormat must be a text or a whole number",
        ),
        (
            "Host.add_image_ticket",
            {"ticket": {"uuid": "x", "size": 1, "url": "x", "timeout": 3, "ops": []}},
            "ticket.ops must be a list of 1 or more",
        ),
        (
            "Host.add_image_ticket",
            {"ticket": {"uuid": "x", "size": 1, "url": "x", "timeout": 3, "ops": ["x"]}},
            "ticket.ops.0 must be 'read' or 'write'",
        ),
        ("ContainerImage.import", {**VOLUME, "jobID": "j", "source": {"url": 3}}, "source.url must be a text"),
    ],
)
def test_in_words(verb: str, params: Any, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        VERBS[verb].params.model_validate(params)
    assert complaint(caught.value) == told
