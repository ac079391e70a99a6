# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What only a virtual machine has in its domain XML: processor, firmware, clock, display, channels."""

from typing import Final

from lxml import etree

from covirt.engine.model.cluster import BiosType
from covirt.engine.model.hardware import BootDevice, DisplayType, Hardware
from covirt.engine.vms.device_xml import (
    add_disc,
    add_disks,
    add_nics,
    add_payload,
    add_volume,
    boot_order,
    child,
    scsi_needed,
)
from covirt.engine.vms.domain import DISC_NAME, Domain

_IDE_DISC_NAME: Final = "hdc"
_PAYLOAD_NAMES: Final = {"sata": "sdd", "ide": "hdd"}  # of the drive with first settings
_GUEST_CHANNELS: Final = ("org.qemu.guest_agent.0",)
_NEVER: Final = "1970-01-01T00:00:01"  # a display is closed until it has a ticket


def add_machine(root: etree._Element, block: etree._Element, domain: Domain) -> None:
    """Raises UnfitInterface."""
    hardware = domain.vm.hardware
    if hardware.io_threads:
        child(root, "iothreads", str(hardware.io_threads))
    _add_firmware(root, domain)
    _add_features(root, domain)
    _add_clock(root, hardware)
    _add_cpu(root, domain)
    child(root, "on_crash", "destroy")
    devices = child(root, "devices")
    _add_controllers(devices, domain)
    _add_disks(devices, block, domain)
    add_nics(devices, block, domain, boots=domain.boot_devices)
    _add_display(devices, hardware, domain.closed_password)
    _add_rest(devices, hardware)


def _is_q35(domain: Domain) -> bool:
    return domain.bios is not BiosType.I440FX_SEA_BIOS


def _add_firmware(root: etree._Element, domain: Domain) -> None:
    hardware = domain.vm.hardware
    efi = domain.bios in (BiosType.Q35_OVMF, BiosType.Q35_SECURE_BOOT)
    os = child(root, "os", **({"firmware": "efi"} if efi else {}))
    machine = hardware.custom_emulated_machine or ("q35" if _is_q35(domain) else "pc")
    child(os, "type", "hvm", arch="x86_64", machine=machine)
    if domain.bios is BiosType.Q35_SECURE_BOOT:
        child(os, "loader", secure="yes")
    for tag, text in (
        ("kernel", hardware.kernel),
        ("initrd", hardware.initrd),
        ("cmdline", hardware.kernel_command_line),
    ):
        if text:
            child(os, tag, text)
    if hardware.boot_menu:
        child(os, "bootmenu", enable="yes", timeout="30000")


def _add_features(root: etree._Element, domain: Domain) -> None:
    features = child(root, "features")
    child(features, "acpi")
    if domain.bios is BiosType.Q35_SECURE_BOOT:
        child(features, "smm", state="on")


def _add_clock(root: etree._Element, hardware: Hardware) -> None:
    clock = child(root, "clock", offset="variable", adjustment="0")
    if hardware.os_type.startswith("windows"):
        child(clock, "timer", name="hypervclock", present="yes")
    child(clock, "timer", name="rtc", tickpolicy="catchup")
    child(clock, "timer", name="pit", tickpolicy="delay")
    child(clock, "timer", name="hpet", present="no")


def _add_cpu(root: etree._Element, domain: Domain) -> None:
    model = domain.vm.hardware.custom_cpu_model or domain.cpu_model
    if model:
        cpu = child(root, "cpu", match="exact")
        child(cpu, "model", model)
    else:
        cpu = child(root, "cpu", mode="host-model")
    topology = domain.vm.hardware.cpu
    child(cpu, "topology", sockets=str(topology.sockets), cores=str(topology.cores), threads=str(topology.threads))


def _add_controllers(devices: etree._Element, domain: Domain) -> None:
    child(devices, "controller", type="usb", model="qemu-xhci" if _is_q35(domain) else "piix3-uhci", index="0")
    child(devices, "controller", type="virtio-serial", index="0")
    if scsi_needed(domain):
        child(devices, "controller", type="scsi", model="virtio-scsi", index="0")


def _add_disks(devices: etree._Element, block: etree._Element, domain: Domain) -> None:
    name, bus = (DISC_NAME, "sata") if _is_q35(domain) else (_IDE_DISC_NAME, "ide")
    boots = domain.boot_devices
    boot = boot_order(boots, BootDevice.CDROM) if BootDevice.CDROM in boots else None
    add_disc(devices, domain, name=name, bus=bus, boot=boot)
    if domain.disc is not None:
        add_volume(block, name=name, volume=domain.disc)
    second = _PAYLOAD_NAMES[bus]
    if domain.payload:
        add_payload(devices, block, domain.payload, name=second, bus=bus)
    add_disks(devices, block, domain, taken=(name, second) if domain.payload else (name,), boots=boots)


def _add_display(devices: etree._Element, hardware: Hardware, closed_password: str) -> None:
    spice = hardware.display_type is DisplayType.SPICE
    graphics = child(devices, "graphics", type=str(hardware.display_type), port="-1", autoport="yes")
    if closed_password:
        graphics.set("passwd", closed_password)
        graphics.set("passwdValidTo", _NEVER)
    child(graphics, "listen", type="address", address="0.0.0.0")  # noqa: S104 - the host has a say of its own
    if spice:
        child(graphics, "clipboard", copypaste="yes" if hardware.copy_paste else "no")
        child(graphics, "filetransfer", enable="yes" if hardware.file_transfer else "no")
    child(child(devices, "video"), "model", type="qxl" if spice else "vga", heads=str(hardware.monitors))


def _add_rest(devices: etree._Element, hardware: Hardware) -> None:
    child(devices, "input", type="tablet", bus="usb")
    for name in _GUEST_CHANNELS:
        channel = child(devices, "channel", type="unix")
        child(channel, "target", type="virtio", name=name)
    # Always: the console of a machine is a thing that people look for when nothing else works.
    console = child(devices, "console", type="pty")
    child(console, "target", type="serial", port="0")
    if hardware.soundcard:
        child(devices, "sound", model="ich9")
    if hardware.tpm:
        tpm = child(devices, "tpm", model="tpm-crb")
        child(tpm, "backend", type="emulator", version="2.0")
    if hardware.rng_source:
        rng = child(devices, "rng", model="virtio")
        child(rng, "backend", "/dev/hwrng" if hardware.rng_source == "hwrng" else "/dev/urandom", model="random")
    child(child(devices, "memballoon", model="virtio"), "stats", period="5")
