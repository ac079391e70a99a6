# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every example of docs/domain-xml.md is defined by the running daemon, and those that need no more are started."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import libvirt
import pytest
from lxml import etree

from covirt.common.process import run
from covirt.virtocid.config import ContainerConfig
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_directory
from tests.support.virtocid import IMAGE, Virtocid, import_image, serve_virtocid

_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "domain-xml.md"
_BLOCKS: Final = re.findall(r"```xml\n(<domain.*?)```", _PAGE.read_text(), re.DOTALL)
_BRIDGE: Final = "br0"
_NETWORK: Final = f"<network><name>default</name><forward mode='bridge'/><bridge name='{_BRIDGE}'/></network>"


def _name(block: str) -> str:
    return etree.fromstring(block).findtext("name") or ""


@dataclass(frozen=True, slots=True)
class Documented:
    """A host as the page supposes it, but for where its directories are."""

    virtocid: Virtocid
    shared: Path

    def placed(self, block: str) -> str:
        """The example with the test's directories in it."""
        root = self.virtocid.root
        for written, real in (
            ("/var/lib/covirt/container-images", root.images_dir),
            ("/etc/covirt", root.config_dir),
            ("/var/log", root.path / "var/log"),
            ("/srv/shop", self.shared),
        ):
            block = block.replace(f"'{written}", f"'{real}").replace(f">{written}", f">{real}")
        return block


@pytest.fixture(scope="module")
def documented(busybox_layout: Path) -> Iterator[Documented]:
    with new_directory() as shared:
        configuration = f'[container]\nallowed_directories = ["{shared}:rw"]\n'
        with serve_virtocid(busybox_layout, configuration=configuration) as virtocid:
            for name in ("shop", "web"):
                import_image(virtocid.root, f"oci:{busybox_layout}:{IMAGE}", name)
            shutil.copy(ContainerConfig().seccomp_profile, virtocid.root.config_dir / "shop-seccomp.json")
            yield Documented(virtocid, shared)


@contextmanager
def _libvirt_network(libvirtd: Libvirtd, directory: Path) -> Iterator[None]:
    """The bridge and the network that the examples name."""
    file = directory / "network.xml"
    file.write_text(_NETWORK)
    steps: Sequence[Sequence[str]] = (["link", "add", _BRIDGE, "type", "bridge"], ["link", "set", _BRIDGE, "up"])
    for words in steps:
        run(["ip", *words], timeout_seconds=10)
    libvirtd.virsh("net-undefine", "default", check=False)  # the one that Debian's package defines
    libvirtd.virsh("net-define", str(file))
    libvirtd.virsh("net-start", "default")
    try:
        yield
    finally:
        libvirtd.virsh("net-destroy", "default")
        libvirtd.virsh("net-undefine", "default")
        file.unlink()
        run(["ip", "link", "delete", _BRIDGE], timeout_seconds=10)


def test_there_are_examples() -> None:
    assert {"shop", "web", "redis"} <= {_name(block) for block in _BLOCKS}


@pytest.mark.qemu
@pytest.mark.parametrize("block", _BLOCKS, ids=_name)
def test_it_can_be_defined(documented: Documented, libvirtd: Libvirtd, open_dir: Path, block: str) -> None:
    with (
        _libvirt_network(libvirtd, open_dir),
        documented.virtocid.used_by_a_test() as virtocid,
        virtocid.connect() as connection,
    ):
        xml = documented.placed(block)
        domain = connection.defineXML(xml)
        again = connection.defineXML(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        assert again.UUIDString() == domain.UUIDString()


@pytest.mark.parametrize("name", ["web", "redis"])
def test_it_can_be_started(documented: Documented, name: str) -> None:
    [block] = [block for block in _BLOCKS if _name(block) == name]
    with documented.virtocid.used_by_a_test() as virtocid, virtocid.connect() as connection:
        domain = connection.defineXML(documented.placed(block))
        domain.create()
        assert domain.maxMemory() == 64 * 1024
