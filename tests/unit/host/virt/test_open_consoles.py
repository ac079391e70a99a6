# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who has a Vm's console."""

from covirt.host.virt.streams import OpenConsoles


class Console:
    """It leaves the list when it is closed, as a stream does."""

    def __init__(self, consoles: OpenConsoles, vm_id: str) -> None:
        self._consoles = consoles
        self._vm_id = vm_id
        self.closed = 0

    def close(self) -> None:
        self._consoles.end(self._vm_id, self)
        self.closed += 1


def test_who_wants_it_alone_ends_the_others_of_that_vm() -> None:
    consoles = OpenConsoles()
    first, second, elsewhere = (Console(consoles, vm_id) for vm_id in ("soup", "soup", "salad"))
    for console, vm_id in ((first, "soup"), (second, "soup"), (elsewhere, "salad")):
        consoles.begin(vm_id, console, alone=False)
    assert (first.closed, second.closed) == (0, 0)
    third = Console(consoles, "soup")
    consoles.begin("soup", third, alone=True)
    assert (first.closed, second.closed, elsewhere.closed, third.closed) == (1, 1, 0, 0)
    consoles.begin("soup", Console(consoles, "soup"), alone=True)
    assert (first.closed, third.closed) == (1, 1)
