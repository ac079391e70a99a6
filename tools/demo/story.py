# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo tells, in its order."""

import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from ovirtsdk4 import types

from covirt.common.units import readable_size
from tests.support.guest import TinyGuest
from tools.demo import guests
from tools.demo.errors import WrongAnswer
from tools.demo.image import NEIGHBOUR, PAGE
from tools.demo.ovirt import Ovirt
from tools.demo.stage import Stage
from tools.demo.terminal import Show
from tools.demo.virsh import OCI, QEMU, command, virsh
from tools.demo.waiting import wait_for, wait_for_page

_STORAGE: Final = "local"
_JOB_EXIT_CODE: Final = 3
_SECONDS: Final = 60.0

# What runs on when the demo is kept: referred to for ever, so that nothing of it is closed.
_running_on: list[ExitStack] = []


@dataclass(slots=True)
class Player:
    """One of the two, and moments of its life as time.monotonic() tells them."""

    vm: types.Vm
    page: str
    id: str = ""
    address: str = ""
    begin: float = 0.0
    started: float = 0.0
    answered: float = 0.0


class Story:
    """One telling."""

    def __init__(self, show: Show, stage: Stage) -> None:
        self._show = show
        self._stage = stage
        self._image = ""
        self._players: list[Player] = []

    def tell(self) -> None:
        files = self._set_up()
        self._ovirt = self._stage.log_in()
        self._import_image()
        self._start_both(files)
        self._show_table()
        self._show_refusal()
        self._show_virsh()
        self._kill_virtocid()
        self._show_stop_cause()

    @property
    def _engine(self) -> Ovirt:
        return self._ovirt

    def _set_up(self) -> TinyGuest:
        show, stage = self._show, self._stage
        show.title(
            "A container beside a virtual machine",
            "All of it runs in namespaces of its own: nothing on this machine is touched.",
        )
        stage.prepare()
        files = stage.build_guest()
        with show.step("covirt up: libvirtd, virtocid, covirt-host, covirt-engine", log=stage.log) as step:
            told = stage.bring_up()
            step.words += "; host, storage, network"
        show.command(["covirt", "up"], "\n".join(told))
        return files

    def _import_image(self) -> None:
        show, stage = self._show, self._stage
        with (
            stage.registry() as reference,
            show.step("container image imported from a registry into the storage domain", log=stage.log) as step,
        ):
            image = self._engine.import_image(reference, _STORAGE)
            self._image = str(image["id"])
            step.words += f": {image['name']}, {readable_size(int(image['size_bytes']))}"

    def _start_both(self, files: TinyGuest) -> None:
        container = Player(vm=guests.container(guests.CONTAINER, self._image), page=PAGE)
        guest = Player(vm=guests.guest(guests.GUEST, files), page=guests.GUEST_PAGE)
        self._players = [container, guest]
        self._start(container, f'container "{guests.CONTAINER}"')
        self._ask("host asks container", container)
        self._start(guest, f'virtual machine "{guests.GUEST}"', " (emulated, so that it runs anywhere)")
        self._ask("host asks virtual machine", guest)
        with self._show.step("container asks virtual machine", log=self._stage.log) as step:
            page = wait_for_page(container.address, f"{NEIGHBOUR}?{guest.address}")
            _expect("the container", page, guest.page)
            step.words += f': "{page}"'

    def _start(self, player: Player, words: str, more: str = "") -> None:
        with self._show.step(f"{words} created and started{more}", log=self._stage.log):
            player.id = self._engine.add(player.vm)
            player.begin = time.monotonic()
            self._engine.start(player.id)
            self._engine.wait_up(player.id)
            player.started = time.monotonic()

    def _ask(self, words: str, player: Player) -> None:
        with self._show.step(words, log=self._stage.log) as step:
            player.address = self._engine.wait_address(player.id)
            page = wait_for_page(player.address)
            player.answered = time.monotonic()
            _expect(f"http://{player.address}/", page, player.page)
            step.words += f': "{page}"'

    def _show_table(self) -> None:
        self._show.title("Side by side, as oVirt's SDK reads them from the engine")
        engine, players = self._engine, self._players
        figures = [engine.figures(player.id) for player in players]
        rows = {
            "name": [str(player.vm.name) for player in players],
            "status": [engine.status(player.id) for player in players],
            "address": [player.address for player in players],
            "CPU": [f"{percent:.0f} %" for percent, _ in figures],
            "memory used": [readable_size(used) for _, used in figures],
            "memory given": [readable_size(int(player.vm.memory)) for player in players],
            "host": [engine.host_of(player.id) for player in players],
            "running after": [f"{player.started - player.begin:.2f} s" for player in players],
            "answers HTTP after": [f"{player.answered - player.begin:.2f} s" for player in players],
        }
        self._show.table(("container", "virtual machine"), rows)

    def _show_refusal(self) -> None:
        self._show.title("What a container cannot do is refused, with the reason")
        container, _ = self._players
        self._show.command(["POST", f"vms/{guests.CONTAINER}/migrate"], self._engine.refusal_to_migrate(container.id))

    def _show_virsh(self) -> None:
        self._show.title("Both are libvirt domains, for virsh as Debian ships it")
        for uri in (OCI, QEMU):
            self._show.command(command(uri, "list"), virsh(uri, "list"))

    def _kill_virtocid(self) -> None:
        show, stage, (container, _) = self._show, self._stage, self._players
        show.title("virtocid may die; its containers go on")
        before = stage.pid("virtocid")
        with show.step(f"kill -9 of virtocid, PID {before}"):
            os.kill(before, signal.SIGKILL)
        with show.step("host asks the container", log=stage.log) as step:
            step.words += f': "{wait_for_page(container.address)}"'
        with show.step("virtocid is there again", log=stage.log) as step:
            wait_for(
                lambda: stage.pid("virtocid") not in (0, before) and stage.status["ready"],
                seconds=_SECONDS,
                what="virtocid",
            )
            step.words += f", PID {stage.pid('virtocid')}, and knows its container"
        self._engine.wait_up(container.id)
        show.command(command(OCI, "list"), virsh(OCI, "list"))

    def _show_stop_cause(self) -> None:
        show, stage = self._show, self._stage
        show.title("Every stop has a cause")
        with show.step(f'container "{guests.JOB}" ended with exit code {_JOB_EXIT_CODE}', log=stage.log):
            job = guests.container(guests.JOB, self._image, command=f"sh -c 'exit {_JOB_EXIT_CODE}'")
            job_id = self._engine.add(job)
            self._engine.start_when_possible(job_id)
            reason = self._engine.wait_down(job_id)
        show.command(["GET", f"vms/{guests.JOB}", "→", "stop_reason"], reason)
        self._engine.remove(job_id)

    def clean_up(self) -> None:
        """End both as a user would."""
        for player in self._players:
            with self._show.step(f'"{player.vm.name}" shut down and removed', log=self._stage.log):
                self._engine.shut_down(player.id)
        with self._show.step("container image removed", log=self._stage.log):
            self._engine.remove_images()
        self._stage.log_out()
        with self._show.step("covirt down", log=self._stage.log):
            self._stage.take_down()


def tell_story(show: Show, *, keep: bool) -> None:
    """Set up, show, and clean up unless the demo is to be kept. Raises StepFailed."""
    with ExitStack() as stack:
        story = Story(show, Stage(stack))
        story.tell()
        if keep:
            _running_on.append(stack.pop_all())
        else:
            story.clean_up()
    sys.stdout.flush()


def _expect(who: str, answer: str, expected: str) -> None:
    if answer != expected:
        raise WrongAnswer(who=who, answer=answer)
