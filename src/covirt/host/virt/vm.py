# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A Vm: what the user starts and stops, of either kind. Its state, and nothing that libvirt or storage does.

The state is a frozen record, changed under one lock that is never held while libvirt is called. Each change is
written down first, and told in the order in which it happened.
"""

import logging
import threading
import time
from dataclasses import replace
from typing import Any, Final

import libvirt
from lxml import etree

from covirt.host.virt.devices_seen import DevicesSeen, devices_hash, see_devices
from covirt.host.virt.document import child_text, read_xml
from covirt.host.virt.errors import HypervisorUnavailable, VmIsDown
from covirt.host.virt.kinds import KINDS, Kind
from covirt.host.virt.libvirt_errors import translated
from covirt.host.virt.merge_record import Merge
from covirt.host.virt.ovirt_metadata import VmFacts, read_vm_facts
from covirt.host.virt.parts import VmParts
from covirt.host.virt.records import Exit, Phase, VmRecord, with_exit
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.json import JsonValue
from covirt.hostapi.statuses import ExitReason, PauseCode, VmStatus

# A machine is "Powering up" until its agent speaks, or this long: many have none (Vdsm: guest wait timeout).
_GUEST_WAIT_SECONDS: Final = 60.0


# What ran goes on, as far as anybody knows.
_FIRST_STATUSES: Final = {
    Phase.STARTING: VmStatus.WAIT_FOR_LAUNCH,
    Phase.RUNNING: VmStatus.UP,
    Phase.DOWN: VmStatus.DOWN,
}


def monotonic_ms() -> int:
    return int(time.monotonic() * 1000)


log = logging.getLogger(__name__)


class Vm:
    """Thread-safe."""

    def __init__(self, record: VmRecord, parts: VmParts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._record = record
        self._status = _FIRST_STATUSES[record.phase]
        self._status_time_ms = monotonic_ms()
        self._pause_code = PauseCode.NONE
        self._agent_seen = False
        self._told: VmStatus | None = None
        self._responsive = record.phase is not Phase.RUNNING  # of an earlier life: its libvirt was not asked yet
        self._cancelled = False
        self._forgotten = False
        self.giving_back = threading.Lock()  # another Vm of its id may hold the same as soon as that is over
        self.started = threading.Event()  # the start is over, well or badly
        self.stopped = threading.Event()
        if record.phase is not Phase.STARTING:
            self.started.set()
        if record.phase is Phase.DOWN:
            self.stopped.set()
        root = read_xml(record.xml)
        self.facts: VmFacts = read_vm_facts(root)
        self.devices = DevicesSeen(hash=devices_hash(root))
        self.maximum_memory_kib = _memory_kib(root)
        self.has_acpi = root.find("features/acpi") is not None

    @property
    def vm_id(self) -> str:
        return self._record.vm_id

    @property
    def is_container(self) -> bool:
        return self._record.kind is Kind.CONTAINER

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def kind(self) -> Kind:
        return self._record.kind

    @property
    def volumes(self) -> tuple[VolumeRef, ...]:
        """What is, or may be, prepared for it."""
        return self._record.volumes

    @property
    def record(self) -> VmRecord:
        return self._record

    @property
    def status(self) -> VmStatus:
        """As VM.getStats has it: a machine's guest needs time to come up."""
        status = self._status
        if status is VmStatus.UP and not KINDS[self.kind].up_at_once and self._guest_is_awaited():
            return VmStatus.POWERING_UP
        return status

    @property
    def list_status(self) -> VmStatus:
        """As Host.getVMList has it: up is up."""
        return self._status

    @property
    def status_time_ms(self) -> int:
        return self._status_time_ms

    @property
    def paused_seconds(self) -> float:
        """Since it was seen to be paused; 0 when it is not."""
        with self._lock:
            return (monotonic_ms() - self._status_time_ms) / 1000 if self._status is VmStatus.PAUSED else 0.0

    @property
    def pause_code(self) -> PauseCode:
        return self._pause_code

    @property
    def responsive(self) -> bool:
        """Whether its libvirt answers."""
        return self._responsive

    @property
    def cancelled(self) -> bool:
        """It was destroyed while it started."""
        return self._cancelled

    @property
    def elapsed_seconds(self) -> int:
        return int(time.time() - self._record.started) if self._record.started else 0

    def domain(self) -> Any:
        """Its virDomain. Raises HypervisorUnavailable, libvirtError."""
        return self._parts.hypervisors[self.kind].get().lookupByUUIDString(self.vm_id)

    def running_domain(self) -> Any:
        """Its virDomain while it runs. Raises VmIsDown, LibvirtFailed, HypervisorUnavailable."""
        if self._record.phase is not Phase.RUNNING:
            raise VmIsDown(name=self.name)
        with translated("find", self.name):
            return self.domain()

    def summary(self) -> dict[str, JsonValue]:
        """As Host.getVMList has it."""
        return {"vmId": self.vm_id, "status": self._status.value, "statusTime": str(self._status_time_ms)}

    def domain_xml(self) -> str:
        """libvirt's own, or while libvirt has none the engine's."""
        try:
            return str(self.domain().XMLDesc(0))
        except (libvirt.libvirtError, HypervisorUnavailable):
            return self._record.xml

    def look_at(self, domain: Any) -> None:
        """Learn libvirt's names of its devices, after a start or a change. Raises libvirtError, BadXml."""
        xml = domain.XMLDesc(0)
        self.facts = read_vm_facts(read_xml(xml))
        self.devices = see_devices(xml, self.facts)

    def save(self) -> None:
        self._parts.records.save(self._record)

    # Changes of its state.

    def holds(self, volumes: tuple[VolumeRef, ...]) -> None:
        """Write down what is prepared for it from now on."""
        self._remember(volumes=volumes)

    def merging(self, merges: tuple[Merge, ...]) -> None:
        """Write down which volumes of it are being merged from now on."""
        self._remember(merges=merges)

    def without_secrets(self) -> None:
        """They were given back."""
        self._remember(secrets=())

    def take_domain(self) -> None:
        """From now on libvirt's domain of its id is ours."""
        self._remember(owns_domain=True)

    def leave_domain(self) -> None:
        """It is not any more."""
        self._remember(owns_domain=False)

    def forget(self) -> None:
        """It was destroyed: what is heard of it from now on is written down no more."""
        with self._lock:
            self._forgotten = True
            self._parts.records.remove(self.vm_id)

    def cancel(self) -> None:
        """Let a start that is under way end in a stop."""
        with self._lock:
            self._cancelled = True

    def will_stop(self, reason: ExitReason | None) -> None:
        """The reason of the end that is on its way, unless something better is known then."""
        self._remember(stopping=reason)

    def destroys_on_reboot(self) -> None:
        self._remember(destroy_on_reboot=True)

    def was_destroyed(self) -> None:
        """It goes as soon as what it holds is given back."""
        self._remember(destroyed=True)

    def set_running(self, *, paused: bool, first: bool) -> None:
        """``first``: it has just been started, and engines want to know all of it."""
        with self._lock:
            if self._record.phase is Phase.DOWN:
                return
            started = self._record.started or time.time()
            self._keep(replace(self._record, phase=Phase.RUNNING, started=started))
            before = self._status
            self._change(VmStatus.PAUSED if paused else VmStatus.UP)
            if first or before is not self._status or self._told is None:
                self._tell(self._first_words() if first else {"status": self.status.value})
        self.started.set()

    def set_paused(self, code: PauseCode | None = None) -> None:
        """``code``: None when nobody has said why; one that is paused keeps what is known."""
        with self._lock:
            paused = self._status is VmStatus.PAUSED
            if self._record.phase is not Phase.RUNNING or (paused and code in (None, self._pause_code)):
                return
            self._pause_code = code or PauseCode.NONE
            self._change(VmStatus.PAUSED)
            why = {} if self._pause_code is PauseCode.NONE else {"pauseCode": self._pause_code.value}
            self._tell({"status": VmStatus.PAUSED.value, **why})

    def set_resumed(self) -> None:
        with self._lock:
            if self._record.phase is not Phase.RUNNING or self._status is not VmStatus.PAUSED:
                return
            self._pause_code = PauseCode.NONE
            self._change(VmStatus.UP)
            self._tell({"status": self.status.value})

    def set_status(self, status: VmStatus, *, unless: tuple[VmStatus, ...] = ()) -> None:
        """A status of one that runs."""
        with self._lock:
            if self._record.phase is Phase.DOWN or self._status is status or self._status in unless:
                return
            self._change(status)
            self._tell({"status": self.status.value})

    def set_responsive(self, responsive: bool) -> None:  # noqa: FBT001 - it is the value
        self._responsive = responsive

    def set_agent_seen(self) -> None:
        """Its agent speaks: the guest is up."""
        self._agent_seen = True
        self.tell_when_up()

    def tell_when_up(self) -> None:
        """A machine comes up by the passing of time, too: to be called now and then."""
        with self._lock:
            if self._told is VmStatus.POWERING_UP and self.status is VmStatus.UP:
                self._tell({"status": VmStatus.UP.value})

    def set_down(self, exit: Exit) -> bool:  # noqa: A002 - oVirt's word
        """It has ended; told once. False when that was known already."""
        with self._lock:
            if self._record.phase is Phase.DOWN:
                return False
            self._keep(with_exit(self._record, exit))
            self._change(VmStatus.DOWN)
            self._tell(self.exit_words())
        log.info(
            "Vm ended vm=%s name=%s code=%d reason=%d: %s",
            self.vm_id,
            self.name,
            exit.code,
            exit.reason,
            exit.message,
        )
        self.stopped.set()
        self.started.set()
        return True

    def exit_words(self) -> dict[str, JsonValue]:
        """What is known of one that is down, in VmStats' words."""
        exit = self._record.exit  # noqa: A001 - oVirt's word
        if exit is None:
            return {"vmId": self.vm_id, "status": self._status.value}
        return {
            "vmId": self.vm_id,
            "status": VmStatus.DOWN.value,
            "exitCode": int(exit.code),
            "exitMessage": exit.message,
            "exitReason": int(exit.reason),
        }

    # Inside; the lock is held.

    def _guest_is_awaited(self) -> bool:
        return not self._agent_seen and time.time() - self._record.started < _GUEST_WAIT_SECONDS

    def _remember(self, **changes: Any) -> None:
        with self._lock:
            self._keep(replace(self._record, **changes))

    def _keep(self, record: VmRecord) -> None:
        if record != self._record:
            if not self._forgotten:
                self._parts.records.save(record)
            self._record = record

    def _change(self, status: VmStatus) -> None:
        self._status = status
        self._status_time_ms = monotonic_ms()

    def _tell(self, words: dict[str, JsonValue]) -> None:
        self._told = VmStatus(str(words["status"]))
        self._parts.events.publish(f"|virt|VM_status|{self.vm_id}", {self.vm_id: words})

    def _first_words(self) -> dict[str, JsonValue]:
        return {
            "status": self.status.value,
            "elapsedTime": "0",
            "monitorResponse": "0",
            "clientIp": "",
            "timeOffset": "0",
            "pauseCode": self._pause_code.value,
            "cpuUser": "0.00",
            "cpuSys": "0.00",
            "cpuUsage": "0.00",
            "cpuActual": False,
            "displayInfo": list(self.devices.displays),
            "hash": self.devices.hash,
        }


def _memory_kib(root: etree._Element) -> int:
    element = root.find("memory")
    factors = {"b": 1 / 1024, "bytes": 1 / 1024, "KiB": 1, "k": 1, "K": 1, "MiB": 1 << 10, "M": 1 << 10,
               "GiB": 1 << 20, "G": 1 << 20, "TiB": 1 << 30, "T": 1 << 30, "KB": 1000 / 1024, "MB": 1000**2 / 1024,
               "GB": 1000**3 / 1024}  # fmt: skip
    unit = element.get("unit", "KiB") if element is not None else "KiB"
    try:
        return int(int(child_text(root, "memory") or "0") * factors[unit])
    except (ValueError, KeyError):
        return 0  # libvirt refuses it
