# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which domains use an image: what is marked, and how marks that a killed daemon left behind are put right."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from covirt.common.root import Root
from covirt.oci.image.errors import ImageInUse, NoSuchImage
from covirt.oci.image.store import ImageStore
from tests.support.fake_services import write_image

WEB, MAIL, GONE = UUID(int=1), UUID(int=2), UUID(int=3)


@dataclass(frozen=True)
class Images:
    store: ImageStore
    old: Path
    new: Path

    def users(self, path: Path) -> set[UUID]:
        return {UUID(text) for text in self.store.users(self.store.find(path))}

    def hold(self, path: Path, uuid: UUID) -> None:
        self.store.hold(self.store.find(path), uuid)


@pytest.fixture
def images(root_dir: Root) -> Images:
    old, new = (write_image(root_dir, name, config={"Labels": {"name": name}}) for name in ("old", "new"))
    return Images(store=ImageStore(root_dir), old=old, new=new)


def test_marks_are_those_that_are_true(images: Images) -> None:
    images.hold(images.old, WEB)
    images.hold(images.old, GONE)
    images.store.reconcile({WEB: (images.new,), MAIL: (images.new, images.old)})
    assert images.users(images.old) == {MAIL}
    assert images.users(images.new) == {WEB, MAIL}
    assert images.store.holders() == {WEB, MAIL}
    images.store.reconcile({WEB: (images.new,)})
    images.store.remove("old")
    with pytest.raises(ImageInUse, match=str(WEB)):
        images.store.remove("new")


def test_marks_of_a_domain_that_nobody_can_read_stay(images: Images) -> None:
    images.hold(images.old, WEB)
    images.store.reconcile({WEB: None})
    assert images.users(images.old) == {WEB}


def test_an_image_that_is_absent_costs_no_other_mark(images: Images) -> None:
    images.hold(images.old, WEB)
    images.new.unlink()
    images.store.reconcile({WEB: (images.new,), MAIL: (images.old,)})
    assert images.users(images.old) == {WEB, MAIL}


def test_a_domain_holds_only_what_it_uses(images: Images) -> None:
    images.hold(images.old, WEB)
    images.hold(images.old, MAIL)
    images.store.hold_only((images.old, images.new), WEB)
    assert (images.users(images.old), images.users(images.new)) == ({WEB, MAIL}, {WEB})
    images.store.hold_only((images.new,), WEB)
    assert (images.users(images.old), images.users(images.new)) == ({MAIL}, {WEB})
    with pytest.raises(NoSuchImage):
        images.store.hold_only((images.old, images.old.with_name("absent.raw")), WEB)
    assert images.users(images.new) == {WEB}
