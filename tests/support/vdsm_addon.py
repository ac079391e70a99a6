# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The add-on in a small Vdsm: started with the add-on's environment, told what to do, killed."""

import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import libvirt

from covirt.common.process import PIPE, Child, spawn
from tests.support.vdsm_driver import __file__ as _driver
from tests.support.virtocid import SECONDS
from tests.support.waiting import wait_until

ADDON: Final = Path(__file__).parents[2] / "packaging/vdsm-addon"
_DRIVER: Final = Path(_driver).parent
# The venv's python has no user site, and so no usercustomize; the one below it has, like a host's.
_PYTHON: Final = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
_LIFECYCLE: Final = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE


class Failed(Exception):
    """libvirt's code and sentence, as Vdsm got them."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Refused(Exception):
    """What a hook said."""


@dataclass
class VdsmDriver:
    """A running driver."""

    uri: str
    directory: Path
    enabled: bool = True
    addon: bool = True
    _child: Child | None = field(default=None, init=False)

    def start(self) -> None:
        self.configuration.write_text(
            f"[containers]\nenabled = {'yes' if self.enabled else 'no'}\nuri = {self.uri}\n"
            "[limits]\nanswer_seconds = 3\ncall_seconds = 5\n"
        )
        with (self.directory / "driver.log").open("ab") as log:
            self._child = spawn(
                [_PYTHON, _DRIVER / "vdsmd"], environment=self.environment, stdin=PIPE, stdout=PIPE, stderr=log
            )

    @property
    def configuration(self) -> Path:
        return self.directory / "vdsm-addon.conf"

    @property
    def environment(self) -> Mapping[str, str]:
        libraries = str(Path(libvirt.__file__).parent)
        lib = [str(ADDON / "lib")] if self.addon else []
        return {
            "PYTHONPATH": ":".join([*lib, str(_DRIVER), libraries]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COVIRT_VDSM_ADDON_CONF": str(self.configuration),
            "COVIRT_VDSM_ADDON_LIB": str(ADDON / "lib"),
            "VDSM_DRIVER_HOOKS": str(ADDON / "hooks"),
        }

    def tell(self, method: str, *arguments: Any) -> Any:
        assert self._child is not None
        self._child.stdin.write(json.dumps([method, arguments]).encode() + b"\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, f"the driver ended:\n{(self.directory / 'driver.log').read_text()}"
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        if "error" in answer:
            raise Failed(answer["error"], answer["message"])
        return answer.get("result")

    def call(self, uuid: str, method: str, *arguments: Any) -> Any:
        return self.tell("call", uuid, method, arguments)

    def lifecycle(self, uuid: str) -> list[tuple[int, int]]:
        """Event and detail of each that was heard."""
        return [(event[2], event[3]) for event in self.heard(uuid) if event[0] == _LIFECYCLE]

    def heard(self, uuid: str) -> list[list[Any]]:
        return [event for event in self.tell("heard_so_far") if event[1] == uuid]

    def wait_for_lifecycle(self, uuid: str, event: int, detail: int) -> None:
        wait_until(
            lambda: (event, detail) in self.lifecycle(uuid),
            timeout_seconds=SECONDS,
            what=f"the event {event} {detail} of {uuid}, among {self.lifecycle(uuid)}",
        )

    def kill(self) -> None:
        """kill -9, as it may happen at any moment."""
        assert self._child is not None
        self._child.signal(signal.SIGKILL)
        self._child.wait(timeout_seconds=SECONDS)
        self._child.stdin.close()
        self._child.stdout.close()

    def restart(self) -> None:
        self.kill()
        self.start()


@contextmanager
def driving(uri: str, directory: Path, *, enabled: bool = True, addon: bool = True) -> Iterator[VdsmDriver]:
    driver = VdsmDriver(uri, directory, enabled=enabled, addon=addon)
    driver.start()
    try:
        yield driver
    finally:
        driver.kill()
