# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which tags hang on which objects."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select

from covirt.engine.model.affinity import Tag, TaggedType
from covirt.engine.store.repositories import Tags
from covirt.engine.store.tables import groups


class Taggings:
    """Within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, kind: TaggedType, ids: Sequence[str]) -> Mapping[str, Sequence[Tag]]:
        """The tags of each of these objects, in two statements."""
        table = groups.taggings
        pairs = self._connection.execute(
            select(table.c.object_id, table.c.tag_id).where(table.c.type == kind, table.c.object_id.in_(ids))
        ).all()
        tags = Tags(self._connection).by_ids({tag_id for _, tag_id in pairs})
        found: dict[str, list[Tag]] = {}
        for object_id, tag_id in pairs:
            found.setdefault(object_id, []).append(tags[tag_id])
        return found

    def add(self, tag_id: str, kind: TaggedType, object_id: str) -> None:
        """Hang the tag on the object."""
        self._connection.execute(insert(groups.taggings).values(tag_id=tag_id, type=kind, object_id=object_id))

    def add_missing(self, tag_id: str, kind: TaggedType, object_id: str) -> bool:
        """The same; False when it hangs there already."""
        if any(tag.id == tag_id for tag in self.of(kind, [object_id]).get(object_id, ())):
            return False
        self.add(tag_id, kind, object_id)
        return True

    def remove(self, tag_id: str, kind: TaggedType, object_id: str) -> bool:
        """Take it off; False when it does not hang there."""
        table = groups.taggings
        gone = delete(table).where(table.c.tag_id == tag_id, table.c.type == kind, table.c.object_id == object_id)
        return bool(self._connection.execute(gone).rowcount)

    def forget(self, object_id: str) -> None:
        """Of an object that is gone."""
        self._connection.execute(delete(groups.taggings).where(groups.taggings.c.object_id == object_id))
