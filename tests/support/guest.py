# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The smallest real virtual machine: Debian's cloud kernel and an initramfs of busybox, booted by QEMU in seconds."""

import gzip
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lxml import etree
from lxml.builder import E  # type: ignore[import-not-found]  # lxml-stubs leaves it out

from covirt.common.errors import Unavailable
from covirt.common.process import run
from tests.support.cpio import write_cpio

BOOTED: Final = "GUEST-BOOTED"  # on the serial console when the guest is up
MEMORY_MIB: Final = 96  # 80 is the least that boots

_HERE: Final = Path(__file__).parent
# ./dev setup unpacks a kernel package here where the machine has none in /boot.
_UNPACKED: Final = _HERE.parents[1] / ".setup/kernel"
_MODULES: Final = ("virtio_pci", "virtio_net", "virtio_blk", "virtio_balloon", "button", "evdev")


class NoGuestKernel(Unavailable):
    template = "no Debian cloud kernel in {places}; run ./dev setup"


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyGuest:
    """The files that boot it. QEMU runs as another user: the directories above must be passable."""

    kernel: Path
    initramfs: Path

    def domain_xml(
        self,
        name: str,
        *,
        bridge: str | None = None,
        network: str | None = None,
        address: str | None = None,
        mac: str | None = None,
        log: Path | None = None,
        memory_mib: int = MEMORY_MIB,
        disk: Path | None = None,
    ) -> str:
        """A libvirt domain in a Linux bridge or a libvirt network; without ``address`` ("10.77.0.2/24") by DHCP.

        ``disk``: a raw file that shows as /dev/vda.
        """
        interface = _interface(bridge, network, mac)
        words = "" if interface is None else f"guest.address={address}" if address else "guest.dhcp=1"
        domain = E.domain(
            E.name(name),
            E.memory(str(memory_mib), unit="MiB"),
            E.vcpu("1"),
            E.os(
                E.type("hvm", arch="x86_64", machine="pc"),
                E.kernel(str(self.kernel)),
                E.initrd(str(self.initramfs)),
                E.cmdline(f"console=ttyS0 quiet panic=-1 guest.name={name} {words}".rstrip()),
            ),
            E.features(E.acpi()),
            E.cpu(mode="maximum"),
            E.on_poweroff("destroy"),
            E.on_crash("destroy"),
            E.devices(
                E.serial(*([E.log(file=str(log))] if log else []), type="pty"),
                *([interface] if interface is not None else []),
                *([_disk(disk)] if disk else []),
                E.memballoon(E.stats(period="1"), model="virtio"),
            ),
            type="qemu",  # emulated: where /dev/kvm exists it need not work
        )
        text: str = etree.tostring(domain, pretty_print=True, encoding="unicode")
        return text


def build_guest(directory: Path, *, start: bytes | None = None, modules: Sequence[str] = ()) -> TinyGuest:
    """Put a guest's files into ``directory``; ``start`` is a program that it runs once it is up, for its disk.
    ``modules``: of the kernel, beside those that each guest loads.

    Raises NoGuestKernel.
    """
    kernel, available = _find_kernel()
    guest = TinyGuest(kernel=directory / "vmlinuz", initramfs=directory / "initramfs")
    guest.kernel.write_bytes(kernel.read_bytes())
    guest.initramfs.write_bytes(gzip.compress(_initramfs(available, start, (*_MODULES, *modules)), compresslevel=1))
    for path in (guest.kernel, guest.initramfs):
        path.chmod(0o644)
    return guest


def _disk(path: Path) -> etree._Element:
    driver = E.driver(name="qemu", type="raw", cache="none")
    disk: etree._Element = E.disk(driver, E.source(file=str(path)), E.target(dev="vda", bus="virtio"), type="file")
    return disk


def _interface(bridge: str | None, network: str | None, mac: str | None) -> etree._Element | None:
    kind, name = ("bridge", bridge) if bridge else ("network", network)
    if name is None:
        return None
    parts = [E.source({kind: name}), E.model(type="virtio")]
    interface: etree._Element = E.interface(*parts, *([E.mac(address=mac)] if mac else []), type=kind)
    return interface


def _find_kernel() -> tuple[Path, Path]:
    """The newest cloud kernel that has its modules beside it."""
    for top in (_UNPACKED, Path("/")):
        for kernel in sorted(top.glob("boot/vmlinuz-*-cloud-*"), reverse=True):
            version = kernel.name.removeprefix("vmlinuz-")
            for modules in (top / "usr/lib/modules" / version, top / "lib/modules" / version):
                if (modules / "modules.order").exists():
                    return kernel, modules
    raise NoGuestKernel(places=f"{_UNPACKED} and /boot")


def _initramfs(modules: Path, start: bytes | None, wanted: Sequence[str]) -> bytes:
    files = {
        "init": ((_HERE / "guest_init.sh").read_bytes(), 0o755),
        "dhcp": ((_HERE / "guest_dhcp.sh").read_bytes(), 0o755),
        "bin/busybox": (Path("/bin/busybox").read_bytes(), 0o755),
    }
    if start is not None:
        files["start"] = (start, 0o755)
    order = []
    for path in _load_order(modules, wanted):
        name = path.name.partition(".ko")[0] + ".ko"
        order.append(f"{name}\n")
        files[f"modules/{name}"] = (_module_content(path), 0o644)
    files["modules/order"] = ("".join(order).encode(), 0o644)
    return write_cpio(files)


def _load_order(modules: Path, wanted: Sequence[str]) -> Iterator[Path]:
    """The wanted modules, each after those it depends on.

    Read from the kernel's build tree listing rather than modules.dep, which a kernel that was only unpacked lacks.
    """
    available = {path.name.partition(".ko")[0].replace("-", "_"): path for path in modules.rglob("*.ko*")}
    seen: set[str] = set()

    def visit(name: str) -> Iterator[Path]:
        if name in seen or name not in available:  # not available: built into the kernel
            return
        seen.add(name)
        for needed in _depends(_module_content(available[name])):
            yield from visit(needed)
        yield available[name]

    for name in wanted:
        yield from visit(name)


def _depends(module: bytes) -> list[str]:
    """The ``depends=`` line of a module's .modinfo section."""
    start = module.index(b"\0depends=") + len(b"\0depends=")
    text = module[start : module.index(b"\0", start)].decode()
    return [name.replace("-", "_") for name in text.split(",") if name]


def _module_content(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return run(["zstd", "-dc", path], timeout_seconds=30).stdout
    return path.read_bytes()
