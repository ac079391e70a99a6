# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a command has made is taken back when it cannot be finished; what cannot be is named."""

import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from covirt.client.errors import EngineSilent, NoSuchThing, RefusedNow
from covirt.client.resources import Collection as Below
from covirt.client.resources import Resources
from covirt.common.errors import Error

_VM_ADDED: Final = "34"  # the event's number
_LOOK_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 15.0  # for the end of what the engine does with it just now
_ANSWER_SECONDS: Final = 2.0  # for the end of a request whose answer nobody has waited for


@contextmanager
def unanswered_machine(resources: Resources) -> Iterator[None]:
    """Around the request that makes one: when its answer does not come, the engine may have made it all the same."""
    try:
        yield
    except (EngineSilent, KeyboardInterrupt):
        with _told(resources, "the machine that was asked for"):
            vm_id = _added_machine(resources)
            if vm_id:
                remove_machine(resources, vm_id, keep=())
        raise


def remove_machine(resources: Resources, vm_id: str, *, keep: Collection[str]) -> None:
    """With its disks but for those to ``keep``, also those whose making was not answered."""
    with _told(resources, f"the machine {vm_id}"):
        disks: set[str] = set()
        until = time.monotonic() + _LONGEST_SECONDS
        while True:
            attachments = Below(path=f"vms/{vm_id}/diskattachments", element="disk_attachment", noun="disk")
            disks |= {each.id for each in resources.list(attachments)} - set(keep)
            if _deleted(resources, f"vms/{vm_id}?detach_only=true", until):
                break
        for disk in disks:
            remove_disk(resources, disk)


def remove_disk(resources: Resources, disk_id: str) -> None:
    take_back(resources, f"disks/{disk_id}", f"the disk {disk_id}")


def take_back(resources: Resources, path: str, what: str) -> None:
    """Delete what was made at ``path`` a moment ago."""
    with _told(resources, what):
        until = time.monotonic() + _LONGEST_SECONDS
        while not _deleted(resources, path, until):
            pass


def _deleted(resources: Resources, path: str, until: float) -> bool:
    """False, after a moment, while it is in use. Raises RefusedNow when that takes too long."""
    try:
        resources.api.delete(path)
    except NoSuchThing:
        return True
    except RefusedNow:
        if time.monotonic() > until:
            raise
        time.sleep(_LOOK_SECONDS)
        return False
    return True


def _added_machine(resources: Resources) -> str:
    """Its id, by the event of our request; empty where none comes."""
    until = time.monotonic() + _ANSWER_SECONDS
    while True:
        for each in resources.own_events():
            if each.text("code") == _VM_ADDED:
                return each.text("vm.id")
        if time.monotonic() > until:
            return ""
        time.sleep(_LOOK_SECONDS)


@contextmanager
def _told(resources: Resources, what: str) -> Iterator[None]:
    """The first reason goes on; this one only tells who has to look."""
    try:
        yield
    except Error as error:
        sys.stderr.write(f"covirt: {what} may be left in the engine at {resources.api.url}: {error}\n")
