# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Custom properties as section 8 of oVirt's API has them, and those that make a container."""

import pytest

from covirt.engine.model.catalogue import SystemOption
from covirt.engine.model.hardware import CustomProperty
from covirt.engine.store.seed_data import SYSTEM_OPTIONS
from covirt.engine.vms import errors
from covirt.engine.vms.container_settings import MappedVolume, container_settings, is_container
from covirt.engine.vms.custom_properties import OPTIONS, check_properties, known_properties

KNOWN = known_properties([option for option in SYSTEM_OPTIONS if option.name in OPTIONS], level="4.8")


def properties(**values: str) -> tuple[CustomProperty, ...]:
    return tuple(CustomProperty(name=name, value=value) for name, value in values.items())


@pytest.mark.parametrize(
    ("given", "error", "keys"),
    [
        (properties(soup="1"), errors.UnknownProperties, "soup"),
        (properties(zz="1", aa="2"), errors.UnknownProperties, "aa, zz"),
        (properties(containerType="Docker!"), errors.BadPropertyValues, "containerType"),
        (properties(containerRestart="sometimes"), errors.BadPropertyValues, "containerRestart"),
        (properties(sap_agent="truest"), errors.BadPropertyValues, "sap_agent"),
        (properties(containerCommand="a\x00b"), errors.BadPropertyValues, "containerCommand"),
        (properties(containerType=""), errors.BadPropertyValues, "containerType"),
        (properties(sap_agent="true") * 2, errors.DuplicateProperties, "sap_agent"),
        (properties(containerCommand="a;b"), errors.BadProperties, ""),
        ((CustomProperty(name="sap agent", value="true"),), errors.BadProperties, ""),
    ],
)
def test_what_is_refused(given: tuple[CustomProperty, ...], error: type[Exception], keys: str) -> None:
    with pytest.raises(error) as refused:
        check_properties(given, KNOWN, action="add")
    assert str(refused.value).endswith(f"The keys are: {keys}" if keys else "Please check the input.")


def test_what_is_taken() -> None:
    given = properties(
        sap_agent="true",
        containerType="docker",
        containerImage="docker.io/library/x:1",
        volumeMap="/data:vda,/tmp:discard",
        containerCommand="sh -c 'echo hello'",
        containerEnvironment='{"A": "b"}',
        containerRestart="on-failure",
        containerRootDisk="root disk",
    )
    check_properties(given, KNOWN, action="add")


def test_an_administrators_own() -> None:
    option = SystemOption(name="UserDefinedVMProperties", values=(("soup=hot|cold;broken=(", "4.8"), ("x=1", "4.7")))
    known = known_properties([option], level="4.8")
    check_properties(properties(soup="hot"), known, action="add")
    for bad in (properties(soup="hotter"), properties(broken="1")):
        with pytest.raises(errors.BadPropertyValues):
            check_properties(bad, known, action="add")


def test_settings() -> None:
    assert not is_container(properties(containerImage="x"))
    assert is_container(properties(containerType="runc"))
    settings = container_settings(
        properties(
            containerType="crun", volumeMap="data:vda, vdb:logs,/x:disk one,/y:discard", containerRootDisk="vdc"
        ),
        action="add",
    )
    assert settings.runtime == "crun"
    assert settings.volumes == (
        MappedVolume(place="data", disk="vda"),
        MappedVolume(place="logs", disk="vdb"),
        MappedVolume(place="/x", disk="disk one"),
    )
    assert settings.discarded == ("/y",)
    assert settings.root_disk == "vdc"
    assert (
        container_settings(properties(containerType="docker", containerRootDisk="stateless"), action="add").runtime
        is None
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("volumeMap", "vda"),
        ("volumeMap", "data:"),
        ("volumeMap", "a:vda,b:vda"),
        ("volumeMap", "/a:vda,/a:vdb"),
        ("volumeMap", "data:discard"),
        ("volumeMap", "1bad:vda"),
        ("containerCommand", "sh -c 'unclosed"),
        ("containerCommand", "[]"),
        ("containerCommand", "[1]"),
        ("containerEnvironment", "A"),
        ("containerEnvironment", "1A=b"),
        ("containerEnvironment", '{"A": 1}'),
        ("containerRestart", "no"),
    ],
)
def test_settings_that_are_none(name: str, value: str) -> None:
    with pytest.raises(errors.BadContainer, match=f"Cannot add VM. Custom property {name}: "):
        container_settings(properties(containerType="docker", **{name: value}), action="add")
