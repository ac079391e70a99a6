# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Versions of templates on both databases: they share a name, and the next one takes its base's place."""

from covirt.engine.commands.templates.facts import remove_from, versions_of
from covirt.engine.model.template import Template
from covirt.engine.store.store import Store
from tests.support.engine_objects import NOON
from tests.support.engine_samples import sample_id


def _template(number: int) -> Template:
    return Template(
        id=sample_id(f"version {number}"),
        name="golden",
        created_at=NOON,
        base_template_id=sample_id("version 1"),
        version_number=number,
    )


def test_a_name_means_the_lowest_version_and_the_next_one_succeeds_it(store: Store) -> None:
    with store.write() as session:
        for number in (3, 1, 2):
            session.templates.add(_template(number))
        found = session.templates.find(name="golden")
        assert found == _template(1)
        assert [each.version_number for each in versions_of(session, found.id)] == [1, 2, 3]
        remove_from(session, found)
        second = session.templates.find(name="golden")
        assert second is not None
        assert (second.id, second.base_template_id) == (sample_id("version 2"), sample_id("version 2"))
        assert [each.version_number for each in versions_of(session, second.id)] == [2, 3]
        remove_from(session, session.templates.get(sample_id("version 3")))
        assert list(versions_of(session, second.id)) == [second]
