# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Definitions and runs on disk: whole or absent, and one broken file hides no other."""

import errno
import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from covirt.common.process_identity import ProcessIdentity
from covirt.virtocid.driver.errors import DomainExists
from covirt.virtocid.driver.kept_volumes import KeptVolumes
from covirt.virtocid.driver.store import (
    DeviceChange,
    DeviceStep,
    DomainRecord,
    DomainStore,
    HotMount,
    RunPhase,
    RunRecord,
    RunStore,
    UserRequest,
)

FIRST = UUID("11111111-1111-4111-8111-111111111111")
SECOND = UUID("22222222-2222-4222-8222-222222222222")


def domain(uuid: UUID = FIRST, name: str = "web") -> DomainRecord:
    return DomainRecord(
        uuid=uuid,
        name=name,
        xml="<domain/>",
        id_range=(65536, 65536),
        autostart=True,
        last_stop_cause={"kind": "exit", "exit_code": 3},
        run_number=7,
    )


def run(uuid: UUID = FIRST) -> RunRecord:
    return RunRecord(
        uuid=uuid,
        boot_id="boot",
        domain_id=3,
        run_number=7,
        runtime="crun",
        phase=RunPhase.RUNNING,
        xml="<domain/>",
        id_range=None,
        process=ProcessIdentity(pid=41, start_time=99),
        interface_names=("cv0",),
        interface_bridges=("br0", None),
        started_at=1.5,
        user_request=UserRequest.SHUTDOWN,
        paused=True,
        device_change=DeviceChange(step=DeviceStep.DETACHING, alias="fs0", configured=True),
        hot_mounts=(HotMount(alias="fs0", view="hot0", mount_id=71, made=("/srv", "/srv/data")),),
    )


def state_file(directory: Path, uuid: UUID = FIRST) -> Path:
    return directory / "virtocid" / "domains" / str(uuid) / "domain.json"


def test_a_definition_survives(tmp_path: Path) -> None:
    DomainStore(tmp_path).save(domain())
    DomainStore(tmp_path).save(domain(SECOND, "db"))
    assert DomainStore(tmp_path).load_all() == ((domain(), domain(SECOND, "db")), ())


def test_only_its_owner_reads_it_and_a_mapped_root_can_pass(tmp_path: Path) -> None:
    DomainStore(tmp_path).save(domain())
    path = state_file(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o711


def test_saving_again_replaces(tmp_path: Path) -> None:
    store = DomainStore(tmp_path)
    store.save(domain())
    changed = replace(domain(), name="other", autostart=False, last_stop_cause=None, id_range=None)
    store.save(changed)
    assert DomainStore(tmp_path).load_all() == ((changed,), ())
    store.save(domain(SECOND, "web"))  # the old name is free again


def test_a_name_belongs_to_one_domain(tmp_path: Path) -> None:
    store = DomainStore(tmp_path)
    store.save(domain())
    with pytest.raises(DomainExists, match="already exists with uuid 1111"):
        store.save(domain(SECOND))
    assert store.load_all() == ((domain(),), ())
    store.remove(FIRST)
    store.save(domain(SECOND))


def test_a_name_found_twice_is_reported_once(tmp_path: Path) -> None:
    DomainStore(tmp_path).save(domain())
    DomainStore(tmp_path).save(domain(SECOND))
    records, broken = DomainStore(tmp_path).load_all()
    assert records == (domain(),)
    assert [item.path for item in broken] == [state_file(tmp_path, SECOND)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 99}',
        '{"version": 1}',
        '{"version": 1, "name": 5, "xml": "", "autostart": true, "run_number": 1}',
        '{"version": 1, "name": "a", "xml": "", "autostart": 1, "run_number": 1}',
        '{"version": 1, "name": "a", "xml": "", "autostart": true, "run_number": true}',
        '{"version": 1, "name": "a", "xml": "", "autostart": true, "run_number": 1, "id_range": [1]}',
    ],
)
def test_a_broken_file_hides_no_other(tmp_path: Path, text: str) -> None:
    store = DomainStore(tmp_path)
    store.save(domain())
    store.save(domain(SECOND, "db"))
    state_file(tmp_path).write_text(text)
    records, broken = DomainStore(tmp_path).load_all()
    assert records == (domain(SECOND, "db"),)
    assert [item.path for item in broken] == [state_file(tmp_path)]
    assert str(state_file(tmp_path)) in broken[0].reason
    assert state_file(tmp_path).read_text() == text  # left for whoever repairs it


def test_removing_takes_the_directory(tmp_path: Path) -> None:
    store = DomainStore(tmp_path)
    store.save(domain())
    (store.directory(FIRST) / "root" / "etc").mkdir(parents=True)
    store.remove(FIRST)
    store.remove(FIRST)
    assert list((tmp_path / "virtocid" / "domains").iterdir()) == []


def test_an_interrupted_removal_is_finished(tmp_path: Path) -> None:
    store = DomainStore(tmp_path)
    store.save(domain())
    store.directory(FIRST).rename(tmp_path / "virtocid" / "domains" / f".removed-{FIRST}")
    assert DomainStore(tmp_path).load_all() == ((), ())
    assert list((tmp_path / "virtocid" / "domains").iterdir()) == []


def test_an_interrupted_first_save_leaves_nothing(tmp_path: Path) -> None:
    DomainStore(tmp_path).directory(FIRST).mkdir(parents=True)
    assert DomainStore(tmp_path).load_all() == ((), ())
    assert not DomainStore(tmp_path).directory(FIRST).exists()


def test_a_run_is_found_again(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.save(run())
    store.save(replace(run(SECOND), process=None, user_request=None, started_at=None))
    records, broken = RunStore(tmp_path).load_all()
    assert records == (run(), replace(run(SECOND), process=None, user_request=None, started_at=None))
    assert broken == ()
    assert records[0].container_id == f"{FIRST}-7"


def test_forgetting_a_run_leaves_what_else_is_in_its_directory(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.save(run())
    bundle = store.directory(FIRST) / "bundle"
    bundle.mkdir()
    store.remove(FIRST)
    assert bundle.is_dir()
    bundle.rmdir()
    store.remove(FIRST)
    assert not store.directory(FIRST).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "flying"},
        {"process": {"pid": "4"}},
        {"process": {"pid": 4}},
        {"interface_names": [1]},
        {"user_request": 3},
    ],
)
def test_a_broken_run_is_reported(tmp_path: Path, change: dict[str, object]) -> None:
    store = RunStore(tmp_path)
    store.save(run())
    path = store.directory(FIRST) / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    records, broken = store.load_all()
    assert records == ()
    assert [item.path for item in broken] == [path]


def test_files_that_cannot_be_removed_hide_no_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = DomainStore(tmp_path)
    store.save(domain())
    left = tmp_path / "virtocid/domains" / f".removed-{SECOND}"
    left.mkdir()
    kept = KeptVolumes(tmp_path).directory(FIRST) / ".removed-data"
    kept.mkdir(parents=True)

    def fail(path: Path) -> None:
        raise PermissionError(errno.EPERM, "it is immutable", path)

    for module in ("store", "kept_volumes"):
        monkeypatch.setattr(f"covirt.virtocid.driver.{module}.remove_tree", fail)
    assert store.load_all() == ((domain(),), ())
    KeptVolumes(tmp_path).finish_removals()
    assert str(left) in caplog.text
    assert str(kept) in caplog.text
