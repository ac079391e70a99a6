# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Images are held by those who use them, over definitions that change and daemons that are killed."""

from uuid import UUID

from covirt.common.root import Root
from covirt.oci.image.store import ImageStore
from tests.support.fake_services import fake_host, write_image
from tests.support.virtocid import domain_xml

_UUID = "<uuid>11111111-2222-3333-4444-555555555555</uuid>"


def test_another_image_in_the_definition_frees_the_first(root_dir: Root) -> None:
    for name in ("old", "new"):
        write_image(root_dir, name, config={"Labels": {"name": name}})
    with fake_host(root_dir) as host:
        definitions, images = host.driver.definitions, host.services.images
        definitions.define(domain_xml("web", image="old", more=_UUID))
        definitions.define(domain_xml("web", image="new", more=_UUID))
        assert images.users(images.find("old")) == ()
        images.remove("old")
        assert len(images.users(images.find("new"))) == 1


def test_marks_that_a_killed_daemon_left_are_put_right(root_dir: Root) -> None:
    write_image(root_dir, "busybox")
    with fake_host(root_dir) as host:
        domain = host.driver.definitions.define(domain_xml("web"))
    images = ImageStore(root_dir)
    image = images.find("busybox")
    images.release(image, domain.uuid)
    images.hold(image, UUID(int=7))
    with fake_host(root_dir) as host:
        assert images.users(image) == (str(domain.uuid),)
    (host.services.store.directory(domain.uuid) / "domain.json").write_text("broken")
    with fake_host(root_dir):
        assert images.users(image) == (str(domain.uuid),)
