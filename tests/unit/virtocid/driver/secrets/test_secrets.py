# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The secrets of an installation, over restarts and boots."""

import base64
import logging
import stat
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from covirt.common.errors import Error
from covirt.common.files import BrokenFile
from covirt.virtocid.driver.secrets.errors import (
    NoSecretValue,
    NoSuchSecret,
    PrivacyFixed,
    SecretExists,
    SecretIsPrivate,
    SeveralSecrets,
)
from covirt.virtocid.driver.secrets.files import SecretFiles
from covirt.virtocid.driver.secrets.model import SecretConfig
from covirt.virtocid.driver.secrets.secrets import Secrets
from covirt.virtocid.events import Event, EventBus
from covirt.wire.constants import SecretUsage
from covirt.wire.structs_secret import SecretLifecycleMsg, SecretMsg

_VALUE = b"correct horse\0battery"
DB = SecretConfig(uuid=UUID(int=1), usage=SecretUsage.CEPH, usage_id="db")


def opened(root: Path, *, boot: str = "one", bus: EventBus | None = None) -> Secrets:
    files = SecretFiles(state_dir=root / "state", run_dir=root / "run", boot_id=boot)
    secrets = Secrets(files, bus or EventBus())
    secrets.load()
    return secrets


def kept(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ephemeral", [False, True])
def test_a_value_outlives_the_daemon(tmp_path: Path, *, ephemeral: bool) -> None:
    config = replace(DB, ephemeral=ephemeral)
    opened(tmp_path).define(config)
    opened(tmp_path).set_value(DB.uuid, _VALUE)
    again = opened(tmp_path)
    assert again.all() == (config,)
    assert again.told_value(DB.uuid) == _VALUE
    assert kept(tmp_path / ("run" if ephemeral else "state")) == {f"{DB.uuid}.xml", f"{DB.uuid}.base64"}
    assert kept(tmp_path / ("state" if ephemeral else "run")) == set()


def test_only_what_is_not_ephemeral_outlives_the_boot(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    for config in (DB, replace(DB, uuid=UUID(int=2), usage_id="web", ephemeral=True)):
        secrets.set_value(secrets.define(config).uuid, _VALUE)
    assert opened(tmp_path, boot="two").all() == (DB,)
    assert kept(tmp_path / "run") == set()


def test_files_are_roots_alone_and_base64_as_libvirts(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(DB)
    secrets.set_value(DB.uuid, _VALUE)
    path = next(tmp_path.rglob("*.base64"))
    assert base64.b64decode(path.read_text()) == _VALUE
    for file in tmp_path.rglob(f"{DB.uuid}*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    for directory in (tmp_path / "state/virtocid", tmp_path / "run/virtocid"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o711, "containers pass it"


def test_nothing_is_left_of_one_that_is_undefined(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(DB)
    secrets.set_value(DB.uuid, _VALUE)
    secrets.undefine(DB.uuid)
    assert kept(tmp_path) == set()
    for call in (secrets.by_uuid, secrets.undefine, secrets.told_value):
        with pytest.raises(NoSuchSecret):
            call(DB.uuid)


def test_a_new_definition_keeps_the_value(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(DB)
    secrets.set_value(DB.uuid, _VALUE)
    secrets.define(replace(DB, description="more"))
    assert secrets.told_value(DB.uuid) == _VALUE
    secrets.define(replace(DB, ephemeral=True))
    assert kept(tmp_path / "state") == set()
    assert opened(tmp_path).told_value(DB.uuid) == _VALUE
    opened(tmp_path).define(DB)
    assert kept(tmp_path / "run") == set()
    assert opened(tmp_path).told_value(DB.uuid) == _VALUE


def test_one_uuid_has_one_usage_and_one_usage_one_uuid(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(DB)
    with pytest.raises(SecretExists, match="already defined for use with db"):
        secrets.define(replace(DB, usage_id="other"))
    with pytest.raises(SecretExists, match="already defined for use with db"):
        secrets.define(replace(DB, uuid=UUID(int=2)))
    assert secrets.all() == (DB,)
    for number in (3, 4):  # without a usage there may be many
        secrets.define(SecretConfig(uuid=UUID(int=number)))


def test_a_private_one_is_never_told_and_stays_private(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(replace(DB, private=True))
    secrets.set_value(DB.uuid, _VALUE)
    with pytest.raises(SecretIsPrivate):
        secrets.told_value(DB.uuid)
    with pytest.raises(PrivacyFixed):
        secrets.define(DB)
    assert secrets.value(secrets.by_uuid(DB.uuid)) == _VALUE


def test_one_without_a_value_says_which_it_is(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(DB)
    with pytest.raises(NoSecretValue, match=r"\(db\) does not have a value"):
        secrets.value(DB)
    secrets.set_value(DB.uuid, b"")
    assert secrets.value(DB) == b""


def test_a_container_names_it_by_uuid_or_by_any_usage(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(DB)
    assert secrets.named(uuid=DB.uuid, usage_id=None) == DB
    assert secrets.named(uuid=None, usage_id="db") == DB
    with pytest.raises(NoSuchSecret, match="usage 'web'"):
        secrets.named(uuid=None, usage_id="web")
    secrets.define(replace(DB, uuid=UUID(int=2), usage=SecretUsage.TLS))
    with pytest.raises(SeveralSecrets, match="name one by its uuid"):
        secrets.named(uuid=None, usage_id="db")


@pytest.mark.parametrize(("flags", "found"), [(0, 4), (1, 2), (2, 2), (3, 4), (4, 2), (8, 2), (1 | 4, 1), (2 | 8, 1)])
def test_filters(tmp_path: Path, flags: int, found: int) -> None:
    secrets = opened(tmp_path)
    for number in range(4):
        secrets.define(SecretConfig(uuid=UUID(int=number + 1), ephemeral=bool(number & 1), private=bool(number & 2)))
    assert len(secrets.all(flags)) == found


def test_events_tell_what_and_never_the_value(tmp_path: Path) -> None:
    bus, heard = EventBus(), list[Event]()
    bus.subscribe(heard.append)
    secrets = opened(tmp_path, bus=bus)
    secrets.define(DB)
    secrets.set_value(DB.uuid, _VALUE)
    secrets.undefine(DB.uuid)
    bodies = [event.make(7) for event in heard]
    assert [number for number, _ in bodies] == [382, 383, 382]
    assert [type(body) for _, body in bodies] == [SecretLifecycleMsg, SecretMsg, SecretLifecycleMsg]
    assert [body.event for _, body in bodies[::2]] == [0, 1]
    assert all(event.kind == "secret" and event.uuid == DB.uuid for event in heard)


def test_what_a_kill_left_is_removed(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(DB)
    secrets.set_value(DB.uuid, _VALUE)
    directory = next(tmp_path.rglob("*.xml")).parent
    (directory / f"{UUID(int=9)}.base64").write_text("eA==")  # undefine, half done
    (directory / f".{DB.uuid}.base64.abc.new").write_text("eA==")
    assert opened(tmp_path).told_value(DB.uuid) == _VALUE
    assert len(kept(tmp_path)) == 2


def test_a_move_that_was_not_finished_leaves_one_whole_secret(tmp_path: Path) -> None:
    """It is written where it goes to before it is removed from where it was."""
    secrets = opened(tmp_path)
    secrets.define(DB)
    secrets.set_value(DB.uuid, _VALUE)
    files = {path.name: path.read_bytes() for path in tmp_path.rglob(f"{DB.uuid}*")}
    secrets.define(replace(DB, ephemeral=True))
    for name, data in files.items():
        (tmp_path / "state/virtocid/secrets" / name).write_bytes(data)
    again = opened(tmp_path)
    assert (again.all(), again.told_value(DB.uuid)) == ((DB,), _VALUE)
    assert kept(tmp_path / "run") == set()


def test_a_broken_file_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secrets = opened(tmp_path)
    for config in (DB, SecretConfig(uuid=UUID(int=2))):
        secrets.set_value(secrets.define(config).uuid, _VALUE)
    (tmp_path / f"state/virtocid/secrets/{UUID(int=2)}.xml").write_text("<secret")
    with caplog.at_level(logging.ERROR):
        assert opened(tmp_path).all() == (DB,)
    assert str(UUID(int=2)) in caplog.text
    assert len(kept(tmp_path)) == 4, "what cannot be read is not removed"


def test_a_broken_value_is_said_without_it(tmp_path: Path) -> None:
    secrets = opened(tmp_path)
    secrets.define(DB)
    (tmp_path / f"state/virtocid/secrets/{DB.uuid}.base64").write_text("not base64!")
    with pytest.raises(BrokenFile) as caught:
        secrets.value(DB)
    shown: list[Error | BaseException | None] = [caught.value, caught.value.__cause__]
    assert "not base64!" not in "".join(map(str, shown))
