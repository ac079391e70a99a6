# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo tells, in its order."""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from covirt.common.units import KIB, readable_size
from tools.demo import domains
from tools.demo.errors import WrongAnswer
from tools.demo.image import NEIGHBOUR, PAGE, TAG
from tools.demo.stage import Stage, wait_for, wait_for_page
from tools.demo.terminal import Show
from tools.demo.virsh import (
    OCI,
    QEMU,
    address,
    command,
    define,
    domain_id,
    domain_stats,
    emulator,
    runtime,
    state,
    virsh,
)

STOP_CAUSE_URI: Final = "https://covirt.org/xmlns/stop-cause/1.0"
_JOB_EXIT_CODE: Final = 3
_STATS: Final = ("Domain", "state.state", "cpu.time", "balloon.rss", "net.0.name", "net.0.rx.bytes", "net.0.tx.bytes")
_NANOSECONDS: Final = 10**9

# What runs on when the demo is kept: referred to for ever, so that nothing of it is closed.
_running_on: list[ExitStack] = []


@dataclass(slots=True)
class Times:
    """Moments in the life of one of the two, as time.monotonic() tells them."""

    begin: float
    started: float
    answered: float = 0.0


class Story:
    """One telling."""

    def __init__(self, show: Show, stage: Stage) -> None:
        self._show = show
        self._stage = stage
        self._times: dict[str, Times] = {}

    def tell(self) -> None:
        self._set_up()
        self._start_both()
        self._show_commands()
        self._kill_virtocid()
        self._show_stop_cause()
        self._show_table()

    def _set_up(self) -> None:
        show, stage = self._show, self._stage
        show.title(
            "A container beside a virtual machine",
            "All of it runs in namespaces of its own: nothing on this machine is touched.",
        )
        stage.prepare()
        with show.step("libvirtd serves qemu:///system", log=stage.libvirtd_log):
            stage.start_libvirtd()
        with show.step("virtocid serves oci:///system", log=stage.virtocid_log):
            stage.start_virtocid()
        with show.step(f"Linux bridge {domains.BRIDGE}, {domains.HOST_ADDRESS}/24", log=stage.libvirtd_log) as step:
            stage.start_network()
        with show.step("container image imported from a registry") as step:
            reference, image = stage.import_image()
            step.words += f": {reference}, {readable_size(image['size_bytes'])}"

    def _start_both(self) -> None:
        show, stage = self._show, self._stage
        container, guest = domains.CONTAINER_ADDRESS, domains.GUEST_ADDRESS
        with show.step(f'container "{domains.CONTAINER}" defined and started', log=stage.virtocid_log):
            define(OCI, "define", domains.container_xml(TAG), stage.root.path)
            self._start(OCI, domains.CONTAINER)
        self._ask("host asks container", OCI, container, "/", PAGE)
        with show.step(f'virtual machine "{domains.GUEST}" defined and started', log=stage.libvirtd_log) as step:
            define(QEMU, "define", domains.guest_xml(stage.build_guest()), stage.root.path)
            self._start(QEMU, domains.GUEST)
            step.words += " (emulated, so that it runs anywhere)"
        self._ask("host asks virtual machine", QEMU, guest, "/", domains.GUEST_PAGE)
        self._ask("container asks virtual machine", OCI, container, f"{NEIGHBOUR}?{guest}", domains.GUEST_PAGE)

    def _start(self, uri: str, name: str) -> None:
        start = time.monotonic()
        virsh(uri, "start", name)
        self._times[uri] = Times(begin=start, started=time.monotonic())

    def _ask(self, words: str, uri: str, host: str, path: str, expected: str) -> None:
        log = self._stage.virtocid_log if uri == OCI else self._stage.libvirtd_log
        with self._show.step(words, log=log) as step:
            page = wait_for_page(host, path)
            if page != expected:
                raise WrongAnswer(who=f"http://{host}{path}", answer=page)
            step.words += f': "{page}"'
        if not self._times[uri].answered:
            self._times[uri].answered = time.monotonic()

    def _show_commands(self) -> None:
        self._show.title("Both, through virsh as Debian ships it")
        for words in (("list",), ("dominfo",), ("domifaddr",), ("domstats",)):
            for uri, name in ((OCI, domains.CONTAINER), (QEMU, domains.GUEST)):
                self._show_command(uri, *words, *([] if words == ("list",) else [name]))

    def _show_command(self, uri: str, *words: str) -> None:
        output = virsh(uri, *words)
        if words[0] == "domstats":
            lines = [line for line in output.splitlines() if line.strip().startswith(_STATS)]
            output = "\n".join([*lines, "  …"])
        self._show.command(command(uri, *words), output)

    def _kill_virtocid(self) -> None:
        show, stage, name = self._show, self._stage, domains.CONTAINER
        show.title("virtocid may die; its containers go on")
        before = domain_id(OCI, name)
        with show.step(f"kill -9 of virtocid, PID {stage.virtocid_pid}"):
            stage.kill_virtocid()
        with show.step("host asks the container", log=stage.virtocid_log) as step:
            step.words += f': "{wait_for_page(domains.CONTAINER_ADDRESS)}"'
        with show.step("virtocid started again", log=stage.virtocid_log) as step:
            stage.start_virtocid()
            after = domain_id(OCI, name)
            if after != before:
                raise WrongAnswer(who="virtocid", answer=f"the container is {after}, and it was {before}")
            step.words += f': it found "{name}" under its old Id {after}'
        self._show_command(OCI, "list")

    def _show_stop_cause(self) -> None:
        show, stage, name = self._show, self._stage, domains.JOB
        show.title("Every stop has a cause")
        with show.step(f'container "{name}" ended with exit code {_JOB_EXIT_CODE}', log=stage.virtocid_log):
            define(OCI, "define", domains.job_xml(TAG, exit_code=_JOB_EXIT_CODE), stage.root.path)
            virsh(OCI, "start", name)
            wait_for(lambda: state(OCI, name).startswith("shut off"), seconds=30.0, what=f"the end of {name}")
        self._show_command(OCI, "domstate", name, "--reason")
        self._show_command(OCI, "metadata", name, STOP_CAUSE_URI)
        self._show_command(QEMU, "domstate", domains.GUEST, "--reason")

    def _show_table(self) -> None:
        both = ((OCI, domains.CONTAINER), (QEMU, domains.GUEST))
        stats = {uri: domain_stats(uri, name) for uri, name in both}
        times = [self._times[uri] for uri, _ in both]
        rows = {
            "name": [name for _, name in both],
            "state": [state(uri, name) for uri, name in both],
            "address": [address(uri, name) for uri, name in both],
            "CPU time": [_cpu_time(stats[uri]) for uri, _ in both],
            "memory given": [_memory(stats[uri], "balloon.maximum") for uri, _ in both],
            "memory on the host": [_memory(stats[uri], "balloon.rss") for uri, _ in both],
            "URI": [uri for uri, _ in both],
            "runtime or emulator": [runtime(domains.CONTAINER), emulator()],
            "running after": [f"{one.started - one.begin:.2f} s" for one in times],
            "answers HTTP after": [f"{one.answered - one.begin:.2f} s" for one in times],
        }
        self._show.title("Side by side")
        self._show.table(("container", "virtual machine"), rows)

    def clean_up(self) -> None:
        """End both as a user would."""
        with self._show.step(f'"{domains.CONTAINER}" shut down', log=self._stage.virtocid_log):
            self._shut_down(OCI, domains.CONTAINER)
        with self._show.step(f'"{domains.GUEST}" shut down', log=self._stage.libvirtd_log):
            self._shut_down(QEMU, domains.GUEST)

    @staticmethod
    def _shut_down(uri: str, name: str) -> None:
        virsh(uri, "shutdown", name)
        wait_for(lambda: state(uri, name).startswith("shut off"), seconds=30.0, what=f"the end of {name}")


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


def _cpu_time(stats: dict[str, str]) -> str:
    return f"{int(stats['cpu.time']) / _NANOSECONDS:.2f} s" if "cpu.time" in stats else "-"


def _memory(stats: dict[str, str], key: str) -> str:
    return readable_size(int(stats[key]) * KIB) if key in stats else "-"
