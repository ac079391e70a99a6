# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A device is found, added, taken out and replaced as libvirt's own drivers do it."""

import pytest

from covirt.virtocid.driver.device_config import attached, detached, find, find_by_alias, replaced
from covirt.virtocid.driver.device_errors import DeviceExists, DeviceFixed, NoSuchDevice, SeveralDevices
from covirt.virtocid.driver.domain_xml.format import format_domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.parse import parse_device, parse_domain
from covirt.virtocid.driver.domain_xml.run_names import with_run_names, without_run_names
from tests.support.virtocid import domain_xml

NET = "<interface type='bridge'><mac address='52:54:00:00:00:0{}'/><source bridge='br{}'/>{}</interface>"
RAM = "<filesystem type='ram'><source usage='1' units='MiB'/><target dir='{}'/></filesystem>"
DISK = "<disk type='file' device='cdrom'><source file='/a.raw'/><target dev='{}'/></disk>"


def config(*devices: str) -> DomainConfig:
    return parse_domain(domain_xml("web", image="", devices="".join(devices)), image_required=False)


class TestFinding:
    present = config(
        NET.format(1, 0, "<target dev='one'/>"),
        NET.format(2, 0, ""),
        NET.format(3, 1, ""),
        RAM.format("/a/"),
        DISK.format("hda"),
    )

    @pytest.mark.parametrize(
        ("wanted", "number"),
        [
            (NET.format(2, 7, ""), 1),  # its address says enough
            ("<interface type='bridge'><source bridge='br1'/></interface>", 2),
            ("<interface type='bridge'><source bridge='br9'/><target dev='one'/></interface>", 0),
        ],
    )
    def test_interface(self, wanted: str, number: int) -> None:
        assert find(self.present, parse_device(wanted)) is self.present.interfaces[number]

    @pytest.mark.parametrize("wanted", [RAM.format("/a"), RAM.format("//a/"), DISK.format("hda")])
    def test_by_target(self, wanted: str) -> None:
        assert find(self.present, parse_device(wanted)) in (*self.present.filesystems, *self.present.disks)

    @pytest.mark.parametrize(
        "wanted",
        [NET.format(4, 0, ""), NET.format(1, 0, "<alias name='ua-x'/>"), RAM.format("/b"), DISK.format("hdb")],
    )
    def test_absent(self, wanted: str) -> None:
        with pytest.raises(NoSuchDevice):
            find(self.present, parse_device(wanted))

    def test_several(self) -> None:
        with pytest.raises(SeveralDevices, match="MAC address"):
            find(self.present, parse_device("<interface type='bridge'><source bridge='br0'/></interface>"))

    def test_by_alias(self) -> None:
        named = with_run_names(self.present)
        assert find_by_alias(named, "net2") is named.interfaces[2]
        with pytest.raises(NoSuchDevice):
            find_by_alias(self.present, "net2")  # a definition has no such names


class TestChanging:
    def test_added_last_and_taken_out(self) -> None:
        before = config(NET.format(1, 0, ""))
        device = parse_device(NET.format(2, 1, ""))
        after = attached(before, device)
        assert after.interfaces == (*before.interfaces, device)
        assert detached(after, after.interfaces[0]).interfaces == (device,)
        assert detached(after, device) == before

    def test_replaced_in_its_place(self) -> None:
        before = config(NET.format(1, 0, ""), NET.format(2, 0, ""))
        new = parse_device(NET.format(1, 5, ""))
        assert replaced(before, before.interfaces[0], new).interfaces == (new, before.interfaces[1])

    @pytest.mark.parametrize(
        "device",
        [
            NET.format(1, 5, ""),
            NET.format(5, 5, "<target dev='one'/>"),
            NET.format(5, 5, "<guest dev='lan0'/>"),
            NET.format(5, 5, "<alias name='ua-first'/>"),
            RAM.format("/a/"),
            DISK.format("hda"),
        ],
    )
    def test_there_already(self, device: str) -> None:
        names = "<target dev='one'/><guest dev='lan0'/><alias name='ua-first'/>"
        with pytest.raises(DeviceExists):
            attached(config(NET.format(1, 0, names), RAM.format("/a"), DISK.format("hda")), parse_device(device))

    def test_console_is_fixed(self) -> None:
        present = config("<console type='pty'/>")
        with pytest.raises(DeviceFixed):
            attached(present, parse_device("<console type='pty'/>"))
        with pytest.raises(DeviceFixed):
            detached(present, present.consoles[0])


class TestNames:
    def test_at_a_start(self) -> None:
        named = with_run_names(
            config(NET.format(1, 0, "<guest dev='lan0'/>"), NET.format(2, 0, ""), RAM.format("/a"))
        )
        assert [(each.alias, each.guest_actual) for each in named.interfaces] == [("net0", "lan0"), ("net1", "eth1")]
        assert named.filesystems[0].alias == "fs0"
        assert with_run_names(named) == named

    def test_they_stay(self) -> None:
        named = with_run_names(config(*(NET.format(number, 0, "") for number in (1, 2, 3))))
        rest = detached(named, named.interfaces[0])
        again = with_run_names(attached(rest, parse_device(NET.format(4, 0, ""))))
        assert again.interfaces[:2] == named.interfaces[1:]
        assert (again.interfaces[2].alias, again.interfaces[2].guest_actual) == ("net3", "eth0")

    def test_one_that_its_author_took(self) -> None:
        named = with_run_names(config(NET.format(1, 0, ""), NET.format(2, 0, "<guest dev='eth0'/>")))
        assert [each.guest_actual for each in named.interfaces] == ["eth1", "eth0"]

    def test_a_definition_has_only_its_authors(self) -> None:
        present = config(NET.format(1, 0, "<alias name='ua-first'/>"), NET.format(2, 0, ""), "<console type='pty'/>")
        assert without_run_names(with_run_names(present)) == present

    def test_written_and_read(self) -> None:
        named = with_run_names(config(NET.format(1, 0, ""), NET.format(2, 0, "<guest dev='lan0'/>")))
        assert parse_domain(format_domain(named, secure=True), live=True, image_required=False) == named
        assert parse_domain(format_domain(named, secure=True), image_required=False) == without_run_names(named)
