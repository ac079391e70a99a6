# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of container images; their disks are the nouns."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, insert, or_, select

from covirt.engine.model.container_image import ContainerImage
from covirt.engine.store.tables.storage import container_images, disks


class ContainerImages:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, image: ContainerImage) -> None:
        """Its disk must be there; it goes with its disk."""
        names = container_images.c.keys()
        self._connection.execute(insert(container_images).values({name: getattr(image, name) for name in names}))

    def find(self, disk_id: str) -> ContainerImage | None:
        row = self._connection.execute(select(container_images).where(container_images.c.id == disk_id)).first()
        return None if row is None else ContainerImage(**row._mapping)

    def by_ids(self, disk_ids: Iterable[str]) -> dict[str, ContainerImage]:
        found = self._connection.execute(select(container_images).where(container_images.c.id.in_(list(disk_ids))))
        return {row.id: ContainerImage(**row._mapping) for row in found}

    def ids(self) -> Sequence[str]:
        """Of all, in the order of their names."""
        joined = select(container_images.c.id).join(disks, disks.c.id == container_images.c.id)
        return list(self._connection.scalars(joined.order_by(disks.c.name, disks.c.id)))

    def called(self, wanted: str) -> Sequence[str]:
        """The ids of those with this digest, or imported by this reference."""
        either = or_(container_images.c.digest == wanted, container_images.c.reference == wanted)
        return list(
            self._connection.scalars(select(container_images.c.id).where(either).order_by(container_images.c.id))
        )

    def with_digest(self, storage_domain_id: str, digest: str) -> ContainerImage | None:
        """In this domain."""
        found = (
            select(container_images)
            .join(disks, disks.c.id == container_images.c.id)
            .where(container_images.c.digest == digest, disks.c.storage_domain_id == storage_domain_id)
            .order_by(container_images.c.id)
            .limit(1)
        )
        row = self._connection.execute(found).first()
        return None if row is None else ContainerImage(**row._mapping)
