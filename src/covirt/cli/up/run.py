# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the commands do: bring everything up, tell how it is, take it down."""

import json
import os
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from covirt.cli.up.daemons import ENGINE, HOST, SUPERVISOR, Daemon, daemons
from covirt.cli.up.errors import (
    ClosedDirectory,
    EngineKnowsPort,
    NeedsRoot,
    NotReady,
    PasswordChanged,
    PortTaken,
    RunsElsewhere,
)
from covirt.cli.up.installation import USER, Choices, Installation, open_log
from covirt.cli.up.lacking import lacking
from covirt.cli.up.network import close_way_out, free_subnet, open_way_out
from covirt.cli.up.set_up import SetUp, host_name
from covirt.cli.up.systemd import Systemd
from covirt.cli.up.units import Units
from covirt.client.engine import API, EngineApi
from covirt.client.errors import BadLogin
from covirt.common.exit_status import exit_status
from covirt.common.files import make_directory, write_atomic
from covirt.common.process import spawn

NOT_ALL_RUNS: Final = 3
WELL: Final = ("running", "not needed")
_READY_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.1
_LOG_LINES: Final = 5


def bring_up(root: str, *, port: int | None, host_port: int | None, subnet: str | None) -> int:
    """The exit status."""

    def work() -> None:
        installation = _installation(root, "up")
        began = time.monotonic()
        _warn_of_checkout(installation)
        choices = _chosen(installation, port=port, host_port=host_port, subnet=subnet)
        wanted = daemons(installation, choices)
        units = Units.of(installation)
        _start_supervisor(installation, units)
        if units is not None:
            choices = units.start(choices, wanted)
        api = _serving_engine(installation, choices)
        if choices.complete:
            _wait_for_host(installation, choices, api)
        else:
            SetUp(
                installation,
                choices,
                _logged_in(installation, api),
                _say,
                start_host=lambda: units.start(installation.choices() or choices, wanted) if units else None,
            ).run()
            choices = replace(installation.choices() or choices, complete=True)
            installation.keep(choices)
        _wait_for(installation, wanted)
        open_way_out(installation, choices.subnet)
        for sentence in lacking():
            _say(f"note: {sentence}")
        _say(f"everything is up after {time.monotonic() - began:.0f} s\n")
        _tell_login(installation, choices)

    return exit_status("covirt up", work)


def take_down(root: str, *, guests: bool) -> int:
    """The exit status."""

    def work() -> None:
        installation = _installation(root, "down")
        choices = installation.choices() or Choices()
        if guests:
            from covirt.cli.up.guests import shut_down_guests

            shut_down_guests(_logged_in(installation, _api(installation, choices)), _say)
        records, units = installation.records, Units.of(installation)
        if units is not None:
            units.stop_supervisor()
        ended = [SUPERVISOR] if records.end(SUPERVISOR, grace_seconds=10) else []
        if units is not None:
            ended += units.stop(choices)
        for daemon in reversed(daemons(installation, choices)):
            if records.end(daemon.name, grace_seconds=daemon.grace_seconds):
                ended.append(daemon.name)
        close_way_out(installation)
        _say(f"ended: {', '.join(ended)}" if ended else "nothing of covirt up runs here")

    return exit_status("covirt down", work)


def tell_status(root: str, *, as_json: bool) -> int:
    """The exit status."""

    def work() -> int:
        installation = Installation.at(root)
        choices = installation.choices()
        wanted = daemons(installation, choices) if choices else ()
        states = {daemon.name: _state(installation, daemon) for daemon in wanted}
        ready = (
            bool(states)
            and bool(choices and choices.complete)
            and all(state["state"] in WELL for state in states.values())
        )
        told: dict[str, object] = {"root": str(installation.root.path), "ready": ready, "daemons": states}
        if choices is not None:
            url = installation.engine_url(choices)
            told |= {
                "url": f"{url}{API}",
                "ca_file": str(installation.ca_file),
                "user": USER,
                "password_file": str(installation.password_file),
            }
        _print_json(told) if as_json else _print_table(told, states)
        return 0 if ready else NOT_ALL_RUNS

    return exit_status("covirt status", work)


def _installation(root: str, command: str) -> Installation:
    """Raises NeedsRoot, ClosedDirectory."""
    if os.geteuid() != 0:
        raise NeedsRoot(command=command, why="it mounts storage and makes bridges")
    installation = Installation.at(root)
    if (closed := _closed(installation.root.path)) is not None:
        raise ClosedDirectory(path=closed)
    return installation


def _closed(path: Path) -> Path | None:
    """A directory of the path that others may not pass."""
    return next((each for each in (path, *path.parents) if not stat.S_IMODE(each.stat().st_mode) & 0o001), None)


def _warn_of_checkout(installation: Installation) -> None:
    """What handles disks and images runs as their owner, and out of somebody's closed home it cannot be run."""
    if (closed := _closed(installation.programs)) is not None:
        _say(
            f"warning: others may not pass {closed}, so container images and disks cannot be brought in with the "
            f"programs that lie below it; chmod a+x {closed}"
        )


def _chosen(installation: Installation, *, port: int | None, host_port: int | None, subnet: str | None) -> Choices:
    """Those of before, with what is new; kept before anything is started. Raises PortTaken, RunsElsewhere,
    EngineKnowsPort, NoFreeNetwork."""
    before = installation.choices() or Choices(subnet=subnet or free_subnet(), host_name=host_name())
    choices = replace(
        before,
        engine_port=port or before.engine_port,
        host_port=host_port or before.host_port,
        subnet=before.subnet if before.complete else subnet or before.subnet,
    )
    if before.complete and choices.host_port != before.host_port:
        raise EngineKnowsPort(port=before.host_port)
    for name, wanted, present, option in (
        (ENGINE, choices.engine_port, before.engine_port, "--port"),
        (HOST, choices.host_port, before.host_port, "--host-port"),
    ):
        _check_port(installation, name, wanted=wanted, present=present, option=option)
    installation.write_settings(choices)
    choices = installation.effective(choices)
    installation.keep(choices)
    return choices


def _check_port(installation: Installation, name: str, *, wanted: int, present: int, option: str) -> None:
    """Raises PortTaken, RunsElsewhere."""
    asked = Choices(engine_port=wanted, host_port=wanted)
    daemon = next(each for each in daemons(installation, asked) if each.name == name)
    if installation.records.find(name) is None and not daemon.of_others():
        if daemon.answers():
            raise PortTaken(port=wanted, option=option)
    elif wanted != present:
        raise RunsElsewhere(program=name, port=present, option=option)


def _start_supervisor(installation: Installation, units: Units | None) -> None:
    if units is not None:
        units.start_supervisor()
        return
    if installation.records.find(SUPERVISOR) is not None:
        return
    with open_log(installation, SUPERVISOR) as stream:
        spawn(
            [sys.executable, "-m", "covirt.cli.up.supervisor", installation.root.path],
            stdout=stream,
            stderr=stream,
            own_session=True,
            directory="/",
        )


def _serving_engine(installation: Installation, choices: Choices) -> EngineApi:
    """Raises NotReady."""
    deadline = time.monotonic() + _READY_SECONDS
    engine = next(each for each in daemons(installation, choices) if each.name == ENGINE)
    while not installation.engine_ca_file.exists():
        _wait_a_little(deadline, engine, installation)
    pem = installation.engine_ca_file.read_bytes()
    if not installation.ca_file.exists() or installation.ca_file.read_bytes() != pem:
        make_directory(installation.ca_file.parent)
        write_atomic(installation.ca_file, pem, mode=0o644)
    api = _api(installation, choices)
    while not api.healthy():
        _wait_a_little(deadline, engine, installation)
    _say(f"covirt-engine serves {installation.engine_url(choices)}{API}")
    return api


def _api(installation: Installation, choices: Choices) -> EngineApi:
    return EngineApi(installation.engine_url(choices), installation.ca_file)


def _logged_in(installation: Installation, api: EngineApi) -> EngineApi:
    """Raises PasswordChanged."""
    path = installation.password_file
    try:
        return api.log_in(USER, path.read_text().strip())
    except (BadLogin, FileNotFoundError) as error:
        raise PasswordChanged(user=USER, path=path) from error


def _wait_for_host(installation: Installation, choices: Choices, api: EngineApi) -> None:
    """Until the engine has it up, as far as it can be asked: the first password may be another one by now."""
    try:
        logged_in = _logged_in(installation, api)
    except PasswordChanged:
        return
    SetUp(installation, choices, logged_in, _say).wait_for_host()


def _wait_for(installation: Installation, wanted: Sequence[Daemon]) -> None:
    """Until each answers. Raises NotReady."""
    deadline = time.monotonic() + _READY_SECONDS
    for daemon in wanted:
        while _state(installation, daemon)["state"] not in WELL:
            _wait_a_little(deadline, daemon, installation)


def _wait_a_little(deadline: float, daemon: Daemon, installation: Installation) -> None:
    if time.monotonic() > deadline:
        log = f"journalctl -u {daemon.unit}" if daemon.unit else str(installation.log_path(daemon.name))
        raise NotReady(what=daemon.name, seconds=_READY_SECONDS, hint=f"{log} says why")
    time.sleep(_LOOK_SECONDS)


def _state(installation: Installation, daemon: Daemon) -> dict[str, object]:
    if daemon.unit:
        return _unit_state(installation, daemon)
    found = installation.records.find(daemon.name)
    if found is None and not daemon.of_others():
        return {"state": "not needed" if daemon.optional and not daemon.may_run() else "stopped"}
    state = "running" if daemon.answers() else "starting"
    return {"state": state, "pid": found.pid, "started_by": "covirt up"} if found else {"state": state}


def _unit_state(installation: Installation, daemon: Daemon) -> dict[str, object]:
    systemd, answers = Systemd(), daemon.answers()
    if not answers and not systemd.active(daemon.unit):
        return {"state": "stopped"}
    choices = installation.choices() or Choices()
    ours = {"started_by": "covirt up"} if daemon.unit in choices.units else {}
    return {"state": "running" if answers else "starting", "pid": systemd.pid(daemon.unit), **ours}


def _tell_login(installation: Installation, choices: Choices) -> None:
    path = installation.password_file
    password = path.read_text().strip() if path.exists() else f"the one that you chose (it was in {path})"
    _say(f"URL       {installation.engine_url(choices)}{API}")
    _say(f"CA file   {installation.ca_file}")
    _say(f"user      {USER}")
    _say(f"password  {password}")


def _print_table(told: dict[str, object], states: dict[str, dict[str, object]]) -> None:
    for name in ("url", "ca_file", "user", "password_file"):
        if name in told:
            _say(f"{name.replace('_', ' '):14} {told[name]}")
    for name, state in states.items():
        _say(f"{name:14} {state['state']:10} {state.get('pid', '')}".rstrip())
    if not states:
        _say("nothing was brought up here; covirt up does it")


def _print_json(told: dict[str, object]) -> None:
    _say(json.dumps(told, indent=1))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
