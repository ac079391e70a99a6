# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of systemd: start what does not run, stop exactly that again; by a systemctl that keeps files."""

from dataclasses import replace
from pathlib import Path

import pytest

from covirt.cli.up import units as units_module
from covirt.cli.up.daemons import Daemon
from covirt.cli.up.errors import UnitNotStarted
from covirt.cli.up.installation import Choices, Installation
from covirt.cli.up.systemd import Systemd
from covirt.cli.up.units import Units
from tests.support.programs import fake_program, prepend_path

# An active unit is a file of its name; a unit named "broken" cannot be started.
_SYSTEMCTL = """
cd {directory}
echo "$*" >>calls
for unit; do :; done
case $1 in
    show) case $3 in
        LoadState) echo loaded ;;
        ActiveState) [ -e "$unit" ] && echo active || echo inactive ;;
        MainPID) echo 17 ;;
    esac ;;
    enable) [ "$unit" != broken.service ] && touch "$unit" ;;
    disable) rm -f "$unit" ;;
esac
"""


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Units:
    (tmp_path / "units").mkdir()
    fake_program(tmp_path, "systemctl", _SYSTEMCTL.format(directory=tmp_path / "units"))
    prepend_path(monkeypatch, tmp_path)
    monkeypatch.setattr(units_module, "UNITS", tmp_path)
    return Units(installation=Installation.at(str(tmp_path)), systemd=Systemd())


def by_unit(name: str) -> Daemon:
    return Daemon(name=name, argv=(), unit=f"{name}.service", answers=lambda: False)


def active(tmp_path: Path) -> set[str]:
    return {path.name.removesuffix(".service") for path in (tmp_path / "units").glob("*.service")}


def test_exactly_what_was_started_is_stopped(units: Units, tmp_path: Path) -> None:
    (tmp_path / "units/virtocid.service").touch()
    certificate: list[bool] = []
    wanted = (
        by_unit("virtocid"),
        by_unit("covirt-engine"),
        replace(by_unit("covirt-host"), may_run=lambda: bool(certificate)),
        Daemon(name="dhcp", argv=()),
        replace(by_unit("libvirtd"), answers=lambda: True),  # by its socket
    )
    choices = units.start(Choices(), wanted)
    assert active(tmp_path) == {"virtocid", "covirt-engine"}
    assert choices.units == ("covirt-engine.service",)
    certificate.append(True)
    choices = units.start(choices, wanted)
    assert units.start(choices, wanted) == choices
    assert units.installation.choices() == choices
    assert units.stop(choices) == ["covirt-host", "covirt-engine"]
    assert active(tmp_path) == {"virtocid"}
    assert units.installation.choices() == Choices()


def test_what_does_not_start_is_ours_to_stop_nevertheless(units: Units) -> None:
    with pytest.raises(UnitNotStarted, match=r"journalctl -u broken\.service says why"):
        units.start(Choices(), (by_unit("broken"),))
    kept = units.installation.choices()
    assert kept is not None
    assert kept.units == ("broken.service",)


def test_the_supervisor_is_a_unit_that_is_removed_again(units: Units, tmp_path: Path) -> None:
    units.start_supervisor()
    units.start_supervisor()
    (path,) = tmp_path.glob("covirt-up-*.service")
    assert f"-m covirt.cli.up.supervisor {tmp_path}" in path.read_text()
    assert active(tmp_path) == {path.name.removesuffix(".service")}
    assert (tmp_path / "units/calls").read_text().count("daemon-reload") == 1
    units.stop_supervisor()
    units.stop_supervisor()
    assert not path.exists()
    assert active(tmp_path) == set()
