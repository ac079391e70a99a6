# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Image configurations as makers of images write them."""

from typing import Any

import pytest

from covirt.oci.image.model import BadConfig, json_object, parse_config

_FULL: dict[str, Any] = {
    "architecture": "amd64",
    "config": {
        "Entrypoint": ["/bin/web"],
        "Cmd": ["--port", "80"],
        "Env": ["PATH=/bin", "EMPTY=", "WITH=a=b", "nothing", "=odd"],
        "WorkingDir": "/www",
        "User": "web:102",
        "StopSignal": "SIGQUIT",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/b": {}, "/a": {}},
        "Labels": {"maintainer": "somebody"},
        "Healthcheck": {"Test": ["CMD", "true"]},
    },
}


def test_every_field() -> None:
    config, volumes = parse_config(_FULL)
    assert config.entrypoint == ("/bin/web",)
    assert config.command == ("--port", "80")
    assert config.environment == (("PATH", "/bin"), ("EMPTY", ""), ("WITH", "a=b"))
    assert config.working_directory == "/www"
    assert config.user == "web:102"
    assert config.stop_signal == "SIGQUIT"
    assert config.exposed_ports == ("53/udp", "80/tcp")
    assert config.labels == {"maintainer": "somebody"}
    assert config.healthcheck == {"Test": ["CMD", "true"]}
    assert config.raw is _FULL
    assert volumes == ("/a", "/b")


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"config": None},
        {"config": {"Env": None, "Cmd": None, "Entrypoint": None, "Volumes": None, "Labels": None}},
    ],
)
def test_nothing_said_is_nothing_set(raw: dict[str, Any]) -> None:
    config, volumes = parse_config(raw)
    assert (config.entrypoint, config.command, config.environment, volumes) == ((), (), (), ())
    assert (config.working_directory, config.user, config.stop_signal, config.healthcheck) == ("/", "", None, None)


def test_a_command_that_is_one_string_goes_through_the_shell() -> None:
    assert parse_config({"config": {"Cmd": "echo hi"}})[0].command == ("/bin/sh", "-c", "echo hi")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ([], "config"),
        ({"Env": {}}, "config.Env"),
        ({"Env": [1]}, "config.Env"),
        ({"Cmd": ["a\0"]}, "config.Cmd"),
        ({"Entrypoint": 1}, "config.Entrypoint"),
        ({"Labels": {"a": 1}}, "config.Labels"),
        ({"Volumes": []}, "config.Volumes"),
        ({"Volumes": {"/a\0b": {}}}, "config.Volumes"),
        ({"User": 0}, "config.User"),
        ({"WorkingDir": "x" * (1 << 21)}, "config.WorkingDir"),
        ({"Healthcheck": []}, "config.Healthcheck"),
    ],
)
def test_a_wrong_value_is_named(section: object, key: str) -> None:
    with pytest.raises(BadConfig, match=key):
        parse_config({"config": section})


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"\xff", b"[" * 100_000, b'{"a":' * 60 + b"1" + b"}" * 60])
def test_json_that_is_no_object(data: bytes) -> None:
    with pytest.raises(BadConfig):
        json_object(data)
