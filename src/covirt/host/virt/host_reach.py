# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a guest's XML may have of its host: its volumes, its networks, and what is a guest's own. Nothing else.

libvirtd and virtocid serve whoever may speak to them as root would: files of the host, its devices, programs it runs.
An engine has guests to start, so what reaches beyond them is refused here, with what it was. What is new to libvirt
and unknown here is refused as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE, OVIRT_CONTAINER_NAMESPACE
from covirt.common.errors import InvalidRequest

_TYPES: Final = ("kvm", "qemu", "oci", "")
_DEVICES: Final = frozenset(
    ("audio", "channel", "console", "controller", "crypto", "disk", "emulator", "filesystem", "graphics", "hub",
     "input", "interface", "iommu", "memballoon", "memory", "panic", "parallel", "redirdev", "rng", "serial",
     "smartcard", "sound", "tpm", "video", "vsock", "watchdog")
)  # fmt: skip
# By tag: the values of an attribute that reach nothing of the host by themselves.
_OWN_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "interface": ("bridge", "network"),
    "disk": ("file", "block", ""),
    "filesystem": ("ram", "template", "file", "mount"),
    "graphics": ("vnc", "spice"),
    "redirdev": ("spicevmc",),
    "smartcard": ("spicevmc", ""),
    "audio": ("none", "spice"),
    **dict.fromkeys(("channel", "console", "parallel", "serial"), ("pty", "null", "unix", "spicevmc", "")),
}
_OWN_BACKENDS: Final[Mapping[str, tuple[str, ...]]] = {"tpm": ("emulator",), "rng": ("random", "builtin")}
_OWN_MODES: Final[Mapping[str, tuple[str, ...]]] = {
    "smartcard": ("passthrough",)
}  # as spicevmc: the user's card, not the host's
# What is written in these names a file of the host, relative or not.
_FILE_ATTRIBUTES: Final = frozenset(("file", "path", "dir", "socket", "template", "database", "rendernode"))
_FILE_ELEMENTS: Final = frozenset(("kernel", "initrd", "dtb", "loader", "nvram", "table", "shim", "varstore"))
# Texts of the guest's own, which may begin with a slash.
_GUESTS: Final = frozenset(
    (
        "name",
        "title",
        "description",
        "init",
        "initarg",
        "initenv",
        "initdir",
        "cmdline",
        "entry",
        "emulator",
        "target",
    )
)
_SKIPPED: Final = frozenset(("metadata",))  # nobody but oVirt and we read it; what is ours there is looked at below
_RANDOM: Final = ("/dev/urandom", "/dev/random", "/dev/hwrng")
_FIRMWARE: Final = "/usr/share"
_NVRAM: Final = "/var/lib/libvirt/qemu/nvram"
_CHANNELS: Final = "/var/lib/libvirt/qemu/channels"
# Where an engine has the sockets of its console proxy; a host of ours gives a terminal instead.
_CONSOLES: Final = "/run/ovirt-vmconsole-console"
_CONTAINER: Final = f"{{{COVIRT_NAMESPACE}}}container"
_IMAGES: Final = (
    f"metadata/{_CONTAINER}/{{{COVIRT_NAMESPACE}}}image",
    f"metadata/{{{OVIRT_CONTAINER_NAMESPACE}}}container/{{{OVIRT_CONTAINER_NAMESPACE}}}image",
)


class BeyondTheGuest(InvalidRequest):
    template = "{what} is beyond what an engine may have of this host{advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReach:
    """``host_files``: directories whose files an engine may name all the same, as the administrator has it."""

    host_files: tuple[str, ...] = ()

    def check(self, root: etree._Element, *, prepared: Iterable[str] = ()) -> None:
        """A <domain> or <hotplug>, whose volumes have the ``prepared`` paths already. Raises BeyondTheGuest."""
        if root.tag == "domain" and root.get("type", "") not in _TYPES:
            raise _beyond(f"a domain of type {root.get('type')!r}")
        for devices in root.iterfind("devices"):
            for device in devices:
                _check_device(device)
        paths = frozenset(prepared)
        pending = [root]
        while pending:
            element = pending.pop()
            self._check_element(element, paths)
            pending.extend(child for child in element if child.tag not in _SKIPPED)
        self._check_container(root)

    def _check_element(self, element: etree._Element, prepared: frozenset[str]) -> None:
        tag = etree.QName(element)
        if tag.namespace not in (None, COVIRT_NAMESPACE):
            raise _beyond(f"<{tag.localname}> of {tag.namespace}")
        if tag.localname == "idmap" or "rawio" in element.attrib or "sgio" in element.attrib:
            raise _beyond(f"<{tag.localname}> with rights of the host")
        if tag.localname == "seclabel" and (element.get("model") != "dac" or element.get("relabel") != "no"):
            raise _beyond(f"<seclabel model={element.get('model', '')!r}>, which is the host's matter,")
        if tag.namespace == COVIRT_NAMESPACE or tag.localname == "target":
            return
        for name, value in element.attrib.items():
            names_a_file = str(name) in _FILE_ATTRIBUTES or (tag.localname, str(name)) == ("source", "dev")
            if value and (names_a_file or str(value).strip().startswith("/")):
                self._check_path(element, str(value), prepared)
        text = (element.text or "").strip()
        if text and tag.localname not in _GUESTS and (tag.localname in _FILE_ELEMENTS or text.startswith("/")):
            self._check_path(element, text, prepared)

    def _check_path(self, element: etree._Element, text: str, prepared: frozenset[str]) -> None:
        if text in prepared or self._is_allowed(str(element.tag), text.strip()):
            return
        raise _beyond(
            f"{text!r} in <{element.tag}>",
            "; use a volume of a storage domain, or let its administrator name its directory in host_files",
        )

    def _is_allowed(self, tag: str, text: str) -> bool:
        path = PurePosixPath(text)
        if not path.is_absolute() or ".." in path.parts:
            return False
        if any(path.is_relative_to(directory) for directory in self.host_files):
            return True
        if tag == "backend":
            return text in _RANDOM
        if tag in ("loader", "nvram"):
            return path.is_relative_to(_FIRMWARE) or (tag == "nvram" and path.is_relative_to(_NVRAM))
        return tag == "source" and (path.is_relative_to(_CHANNELS) or path.is_relative_to(_CONSOLES))

    def _check_container(self, root: etree._Element) -> None:
        for way in _IMAGES:
            for image in root.iterfind(way):
                name = (image.text or "").strip()
                if "/" in name[:1] and not self._is_allowed("image", name):
                    raise _beyond(f"the container image {name!r}", "; use a volume, or the name of an image it has")
        if root.find(f"metadata/{_CONTAINER}/{{{COVIRT_NAMESPACE}}}secret") is not None:
            raise _beyond(
                "a secret named in the XML", ", where it could be another's; give it with VM.create's secrets"
            )
        profile = root.find(f"metadata/{_CONTAINER}/{{{COVIRT_NAMESPACE}}}seccomp")
        if profile is not None:
            raise _beyond(f"the seccomp profile {profile.get('profile', '')!r}")


def _check_device(device: etree._Element) -> None:
    tag = str(device.tag)
    if tag not in _DEVICES:
        raise _beyond(f"a device <{tag}>")
    _require_own(tag, "type", device.get("type", ""), _OWN_TYPES)
    _require_own(tag, "mode", device.get("mode", ""), _OWN_MODES)
    for backend in device.iterfind("backend"):
        _require_own(tag, "backend", backend.get("model", backend.get("type", "")), _OWN_BACKENDS)


def _require_own(tag: str, what: str, value: str, own: Mapping[str, tuple[str, ...]]) -> None:
    if tag in own and value not in own[tag]:
        raise _beyond(f"a <{tag}> of {what} {value!r}")


def _beyond(what: str, advice: str = "") -> BeyondTheGuest:
    return BeyondTheGuest(what=what, advice=advice)
