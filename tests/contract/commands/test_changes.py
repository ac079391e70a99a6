# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Two who change the same object at the same time, and one that is gone, on both databases."""

import threading
from dataclasses import replace

import pytest

from covirt.engine.auth.errors import MissingPermit
from covirt.engine.auth.permits import Right
from covirt.engine.commands.affinity.labels import carry_label
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.change import changing
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.affinity import AffinityLabel
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.store import Store
from tests.support.engine_objects import add_blank, add_cluster, new_id, new_vm


def test_neither_takes_away_what_the_other_has_added(store: Store) -> None:
    label = AffinityLabel(id=new_id(), name="left")
    with store.write() as session:
        add_blank(session)
        cluster = add_cluster(session)
        machines = [new_vm(cluster, name) for name in ("soup", "salad")]
        for machine in machines:
            session.vms.add(machine)
        session.affinity_labels.add(label)

    def add_second() -> None:
        with changing(store, Asked.system()) as change:
            carry_label(change, label.id, vm_ids=frozenset({machines[1].id}))

    other = threading.Thread(target=add_second, name="second")
    with changing(store, Asked.system()) as change:
        seen = change.session.affinity_labels.get(label.id)
        other.start()
        other.join(timeout=0.5)  # it has to wait for us, however long we take
        assert other.is_alive()
        change.session.affinity_labels.update(replace(seen, vm_ids=seen.vm_ids | {machines[0].id}))
    other.join(timeout=30)
    with store.read() as session:
        assert session.affinity_labels.get(label.id).vm_ids == {machine.id for machine in machines}


def test_an_object_that_is_gone_is_not_there(store: Store) -> None:
    """Who was allowed to remove it is not told that he is not, when somebody else was quicker."""
    with store.write() as session:
        add_blank(session)
        machine = new_vm(add_cluster(session), "soup")
        session.vms.add(machine)
    asked = Asked(user_id=new_id(), user_name="ann")
    with changing(store, asked) as change:
        with pytest.raises(MissingPermit):
            change.require(Right.DELETE_VM, Subject(type=ObjectType.VM, id=machine.id))
        with pytest.raises(NoSuchObject):
            change.require(Right.DELETE_VM, Subject(type=ObjectType.VM, id=new_id()))
