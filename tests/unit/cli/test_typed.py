# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What people type becomes what the engine is asked."""

import json

import click
import pytest

from covirt.cli.containers import exit_code_of
from covirt.cli.errors import BadFilter, BadOption
from covirt.cli.images import full_reference
from covirt.cli.machines import (
    Volume,
    disk_name,
    environment_of,
    parse_disk,
    parse_volume,
    parsed_size,
    volume_map,
    words_of,
)
from covirt.cli.main import main
from covirt.cli.nouns.common import HOST_NAMES
from covirt.cli.nouns.machines import addresses
from covirt.cli.nouns.user import full_name, login_name
from covirt.cli.output import Column, filtered, fitted, plain, printable
from covirt.client.record import Record

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("data:/srv:10GiB", Volume(path="/srv", disk="data", size_bytes=10 * GIB)),
        ("data:/srv", Volume(path="/srv", disk="data")),
        ("/srv:1GiB", Volume(path="/srv", size_bytes=GIB)),
        ("/srv", Volume(path="/srv")),
        ("/srv:discard", Volume(path="/srv", discarded=True)),
    ],
)
def test_volumes(text: str, volume: Volume) -> None:
    assert parse_volume(text) == volume


@pytest.mark.parametrize("text", ["data", "data:srv", "a:/b:1GiB:ro", "/srv:much", "", ":"])
def test_volumes_that_are_none(text: str) -> None:
    with pytest.raises(BadOption, match="--volume"):
        parse_volume(text)


def test_disks() -> None:
    assert parse_disk("10GiB") == Volume(size_bytes=10 * GIB)
    assert parse_disk("root:10GiB") == Volume(disk="root", size_bytes=10 * GIB)
    assert parse_disk("root") == Volume(disk="root")


@pytest.mark.parametrize(
    ("option", "size"), [("--memory", "lots"), ("--root-disk", "0"), ("SIZE", "10x"), ("SIZE", "")]
)
def test_what_is_no_size(option: str, size: str) -> None:
    with pytest.raises(BadOption, match=f"{option} '{size}': a size is"):
        parsed_size(option, size)
    with pytest.raises(BadOption, match="--disk 'new:much': a size is"):
        parse_disk("new:much")


@pytest.mark.parametrize("typed", ["ann", "ann@internal", "ann@internal-authz"])
def test_names_of_users(typed: str) -> None:
    assert full_name(typed) == "ann@internal-authz"
    assert login_name(Record({"user_name": full_name(typed)})) == "ann@internal"


def test_addresses_that_lead_somewhere() -> None:
    told = [
        ("v6", "fe80::1"),
        ("v6", "2001:db8::7"),
        ("v4", "127.0.0.1"),
        ("v6", "::1"),
        ("v4", "10.0.0.7"),
        ("v4", ""),
    ]
    ips = {"ip": [{"version": version, "address": address} for version, address in told]}
    assert addresses(Record({"reported_devices": {"reported_device": [{"ips": ips}]}})) == "10.0.0.7, 2001:db8::7"


def test_the_map_of_volumes() -> None:
    volumes = [parse_volume("data:/srv:1GiB"), parse_volume("/var/log:1GiB"), parse_volume("/tmp:discard")]
    assert volume_map("web", volumes) == "/srv:data,/var/log:web-log,/tmp:discard"
    assert disk_name("web", Volume(size_bytes=1)) == "web"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker://docker.io/library/nginx:latest"),
        ("nginx:1", "docker://docker.io/library/nginx:1"),
        ("some/thing", "docker://docker.io/some/thing:latest"),
        ("localhost/thing", "docker://localhost/thing:latest"),
        ("r.example:5000/a/b", "docker://r.example:5000/a/b:latest"),
        ("docker://r.example/a@sha256:00", "docker://r.example/a@sha256:00"),
    ],
)
def test_references(text: str, full: str) -> None:
    assert full_reference(text) == full


def test_commands_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A custom property may have no semicolon, and JSON needs none."""
    assert ";" not in words_of(["sh", "-c", "a; b"])
    assert json.loads(words_of(["sh", "-c", "a; b"])) == ["sh", "-c", "a; b"]
    assert words_of([]) == ""
    monkeypatch.setenv("MINE", "of here")
    assert json.loads(environment_of(["A=b=c", "MINE"])) == {"A": "b=c", "MINE": "of here"}
    with pytest.raises(BadOption, match="a variable that is set here"):
        environment_of(["UNSET_SURELY"])


@pytest.mark.parametrize(
    ("reason", "code"), [("", 0), ("exited with code 3", 3), ("a user destroyed it", 1), ("exit code 17: x", 17)]
)
def test_exit_codes(reason: str, code: int) -> None:
    assert exit_code_of(Record({"stop_reason": reason})) == code


def test_records() -> None:
    record = Record(
        {"id": "1", "cpu": {"cores": "2"}, "up": "true", "at": 1795463087918, "list": {"one": [{"id": "a"}]}}
    )
    assert (record.whole("cpu.cores"), record.flag("up"), record.text("no.where")) == (2, True, "")
    assert [each.id for each in record.records("list.one")] == ["a"]
    when = record.when("at")
    assert when is not None
    assert when.timestamp() == 1795463087.918


def test_lines_fit_by_what_may_be_cut() -> None:
    widths = {"NAME": 20, "IMAGE": 60, "REASON": 30}
    assert fitted(widths, ["IMAGE", "REASON"], 200) == widths
    assert fitted(widths, ["IMAGE", "REASON"], 80) == {"NAME": 20, "IMAGE": 26, "REASON": 30}
    assert fitted(widths, ["IMAGE", "REASON"], 50) == {"NAME": 20, "IMAGE": 12, "REASON": 14}
    assert fitted(widths, ["IMAGE"], 20) == {"NAME": 20, "IMAGE": 12, "REASON": 30}


def test_names_are_completed_with_nothing_where_no_engine_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVIRT_URL", "https://127.0.0.1:1")
    monkeypatch.setenv("COVIRT_TOKEN", "x")
    context = click.Context(main)
    assert HOST_NAMES(context, click.Argument(["name"]), "") == []


def test_filters() -> None:
    columns = [Column(title="NAME", value=lambda each: each.name)]
    records = [Record({"name": "web"}), Record({"name": "db"})]
    assert filtered(records, columns, ["name=W*"]) == records[:1]
    for text in ("name", "colour=red"):
        with pytest.raises(BadFilter, match="names here are: name"):
            filtered(records, columns, [text])


def test_nothing_steers_the_terminal() -> None:
    assert printable("a\x1b[2Jb") == "a?[2Jb"
    assert plain({"a": 1, "link": [], "b": [{"actions": {}, "c": 2}]}) == {"a": 1, "b": [{"c": 2}]}
