# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whole answers as text, read by nothing that covirt or the SDK is made of."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support import engine_samples as s
from tests.support.golden import Golden

_DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("vm", f"vms/{s.VM_ID}"),
        ("container", f"vms/{s.CONTAINER_ID}"),
        ("vm-followed", f"vms/{s.VM_ID}?follow=nics.reported_devices,disk_attachments,statistics"),
        ("host", f"hosts/{s.HOST_ID}"),
        ("host-nics", f"hosts/{s.HOST_ID}/nics"),
        ("cluster", f"clusters/{s.CLUSTER_ID}"),
        ("cluster-networks", f"clusters/{s.CLUSTER_ID}/networks"),
        ("data-center", f"datacenters/{s.CENTER_ID}"),
        ("storage-domains-of-data-center", f"datacenters/{s.CENTER_ID}/storagedomains"),
        ("storage-domain", f"storagedomains/{s.DOMAIN_ID}"),
        ("disk", f"disks/{s.DISK_ID}"),
        ("template", f"templates/{s.TEMPLATE_ID}"),
        ("vnic-profile", f"vnicprofiles/{s.PROFILE_ID}"),
        ("affinity-group", f"clusters/{s.CLUSTER_ID}/affinitygroups/{s.GROUP_ID}"),
        ("job", f"jobs/{s.JOB_ID}?follow=steps"),
        ("image-transfer", f"imagetransfers/{s.TRANSFER_ID}"),
        ("permissions", f"vms/{s.VM_ID}/permissions"),
        ("empty", "vmpools"),
        ("fault", f"vms/{s.DISK_ID}"),
    ],
)
def test_answers(api: TestClient, golden: Golden, name: str, path: str) -> None:
    xml = api.get(path, headers={"Accept": "application/xml"}).text
    golden(_DATA / f"{name}.xml", xml.replace("><", ">\n<") + "\n")
    json = api.get(path, headers={"Accept": "application/json"}).text
    golden(_DATA / f"{name}.json", json.replace(',"', ',\n"') + "\n")
