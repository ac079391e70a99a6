# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets of a container: what is remembered of them, and how a definition names them."""

import json
from pathlib import Path
from typing import Final

import pytest

from covirt.host.virt.container_errors import BadContainerProperty
from covirt.host.virt.container_secrets import GivenSecret, SecretRef, check_secrets, name_secrets
from covirt.host.virt.container_xml import apply_properties
from covirt.host.virt.document import read_xml
from covirt.host.virt.errors import BadVm
from covirt.host.virt.kinds import Kind
from covirt.host.virt.ovirt_metadata import VmFacts, read_vm_facts
from covirt.host.virt.records import Records, VmRecord
from tests.unit.host.virt.test_container_xml import engine_xml

_SPACE: Final = "{https://covirt.org/xmlns/container/1.0}"
_ID: Final = "6a4bb36d-2d5c-4d2f-8e7f-3f6c0f1d2e11"
_SECRET: Final = GivenSecret(name="db", value=b"correct horse")


def test_where_it_goes() -> None:
    assert _SECRET.ref().path == "/run/secrets/db"
    assert _SECRET.ref().uuid != _SECRET.ref().uuid, "nobody else's, and never the same"
    variable = GivenSecret(name="db", value=b"x", environment="DB").ref()
    assert (variable.path, variable.environment) == ("", "DB")


def test_a_value_is_in_no_representation() -> None:
    assert "horse" not in repr(_SECRET)


def test_a_definition_names_them_once_its_properties_are_in_it() -> None:
    root = read_xml(engine_xml(containerType="docker", containerImage="web"))
    apply_properties(root, read_vm_facts(root).custom)
    refs = (
        SecretRef(uuid=_ID, name="db", path="/run/secrets/db", mode="0440", gid=5),
        SecretRef(uuid=_ID, name="db", environment="DB"),
    )
    name_secrets(root, refs)
    named = [dict(element.attrib) for element in root.iterfind(f"metadata/{_SPACE}container/{_SPACE}secret")]
    assert named == [
        {"uuid": _ID, "path": "/run/secrets/db", "mode": "0440", "gid": "5"},
        {"uuid": _ID, "environment": "DB"},
    ]


def test_who_may_be_given_some() -> None:
    named = VmFacts(custom={"containerType": "docker", "containerSecrets": "db"})
    check_secrets([_SECRET], Kind.CONTAINER, named)
    check_secrets([], Kind.MACHINE, VmFacts())
    check_secrets([], Kind.CONTAINER, VmFacts(custom={"containerSecrets": " , "}))
    with pytest.raises(BadVm, match="given to containers"):
        check_secrets([_SECRET], Kind.MACHINE, VmFacts())
    with pytest.raises(BadContainerProperty, match="containerSecrets"):
        check_secrets([], Kind.CONTAINER, named)


def test_a_record_remembers_where_and_not_what(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = VmRecord(vm_id=_ID, name="web", kind=Kind.CONTAINER, xml="<domain/>", secrets=(_SECRET.ref(),))
    records.save(record)
    path = tmp_path / f"{_ID}.json"
    assert "horse" not in path.read_text()
    assert records.load() == [record]
    earlier = json.loads(path.read_text())
    del earlier["secrets"]
    path.write_text(json.dumps(earlier))
    assert records.load()[0].secrets == ()
