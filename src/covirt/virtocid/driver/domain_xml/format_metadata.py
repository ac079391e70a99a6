# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Write <covirt:container> and the rest of <metadata>."""

from typing import Final

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.virtocid.driver.domain_xml.document import fragment_text, read_fragment
from covirt.virtocid.driver.domain_xml.format_health import write_health, write_restart
from covirt.virtocid.driver.domain_xml.format_volumes import write_volumes
from covirt.virtocid.driver.domain_xml.model_settings import UNLIMITED, ContainerSettings, DnsSettings
from covirt.virtocid.driver.domain_xml.parse_secrets import write_secrets

_NSMAP: Final = {"covirt": COVIRT_NAMESPACE}


def settings_text(settings: ContainerSettings) -> str | None:
    """<covirt:container> as text, or None when it says nothing."""
    element = write_settings(settings)
    return None if element is None else fragment_text(element)


def write_metadata(settings: ContainerSettings, elements: tuple[str, ...]) -> etree._Element | None:
    """<metadata> around our element and the others' texts."""
    metadata = etree.Element("metadata")
    own = write_settings(settings)
    if own is not None:
        metadata.append(own)
    metadata.extend([read_fragment(text) for text in elements])
    return metadata if len(metadata) else None


def write_settings(settings: ContainerSettings) -> etree._Element | None:
    container = etree.Element(f"{{{COVIRT_NAMESPACE}}}container", nsmap=_NSMAP)
    for name in ("image", "runtime", "hostname"):
        _text(container, name, getattr(settings, name))
    _add(container, "stop", signal=settings.stop_signal, timeout=settings.stop_timeout_seconds)
    _add(container, "processes", limit=settings.pids_limit)
    _add(container, "init", reaper="yes" if settings.reaper else None)
    _add(container, "console", terminal=_yes_no(settings.terminal))
    _write_isolation(container, settings)
    _write_root(container, settings)
    container.extend(write_volumes(settings))
    container.extend(write_secrets(settings.secrets))
    for limit in settings.rlimits:
        name = limit.name.removeprefix("RLIMIT_").lower()
        _add(container, "rlimit", name=name, soft=_limit(limit.soft), hard=_limit(limit.hard))
    for name, value in settings.sysctls:
        _add(container, "sysctl", name=name, value=value)
    if settings.shm_size_bytes is not None:
        _text(container, "shm", settings.shm_size_bytes).set("unit", "bytes")
    _write_dns(container, settings.dns)
    write_restart(container, settings.restart)
    write_health(container, settings.health)
    for item in settings.interfaces:
        _add(container, "interface", mac=item.mac, dhcp=_yes_no(item.dhcp), gateway=_yes_no(item.gateway))
    return container if len(container) else None


def _write_root(container: etree._Element, settings: ContainerSettings) -> None:
    readonly = "yes" if settings.readonly_root else None
    _add(container, "root", readonly=readonly, layer=settings.root_layer, disk=settings.root_disk)


def _write_isolation(container: etree._Element, settings: ContainerSettings) -> None:
    if settings.capabilities_add or settings.capabilities_drop:
        capabilities = _child(container, "capabilities")
        for name in settings.capabilities_add:
            _add(capabilities, "add", name=name.removeprefix("CAP_"))
        for name in settings.capabilities_drop:
            _add(capabilities, "drop", name=name.removeprefix("CAP_"))
    _add(container, "seccomp", profile=settings.seccomp)
    _add(container, "privileges", new=None if settings.no_new_privileges else "yes")


def _write_dns(container: etree._Element, dns: DnsSettings) -> None:
    if dns == DnsSettings():
        return
    element = _child(container, "dns")
    for address in dns.nameservers:
        _add(element, "nameserver", address=address)
    for domain in dns.search:
        _add(element, "search", domain=domain)
    for option in dns.options:
        _add(element, "option", name=option)


def _child(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{COVIRT_NAMESPACE}}}{name}")


def _text(parent: etree._Element, name: str, value: object | None) -> etree._Element:
    """A child with text; without a value it is made and thrown away."""
    child = etree.Element(f"{{{COVIRT_NAMESPACE}}}{name}", nsmap=_NSMAP)
    if value is not None:
        child.text = str(value)
        parent.append(child)
    return child


def _add(parent: etree._Element, tag: str, /, **attributes: object | None) -> None:
    """A child with the attributes that are not None; nothing when none is left."""
    present = {name: str(value) for name, value in attributes.items() if value is not None}
    child = _child(parent, tag) if present else parent
    for name, value in present.items():
        child.set(name, value)


def _yes_no(value: bool | None) -> str | None:  # noqa: FBT001
    return None if value is None else "yes" if value else "no"


def _limit(value: int) -> str:
    return "unlimited" if value == UNLIMITED else str(value)
