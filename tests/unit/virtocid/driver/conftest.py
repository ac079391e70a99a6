# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A driver over fakes, for tests of what it decides and remembers."""

from collections.abc import Iterator

import pytest

from covirt.common.root import Root
from tests.support.fake_services import FakeHost, fake_host, write_image


@pytest.fixture
def host(root_dir: Root) -> Iterator[FakeHost]:
    """A driver that has started, with the image busybox; its containers are ended after the test."""
    write_image(root_dir)
    with fake_host(root_dir) as running:
        yield running
        running.end_containers()
