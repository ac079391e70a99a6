# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Write a domain's XML as libvirt would: its order, two spaces, a line break at the end."""

from dataclasses import replace
from typing import Final

from lxml import etree

from covirt.common.xml_guard import MAX_BYTES
from covirt.virtocid.driver.domain_xml.agent_channel import show_agent
from covirt.virtocid.driver.domain_xml.build import group, make, optional, put_back
from covirt.virtocid.driver.domain_xml.document import read_document, write_document
from covirt.virtocid.driver.domain_xml.errors import XmlError, XmlTooLarge
from covirt.virtocid.driver.domain_xml.format_devices import (
    write_console,
    write_disk,
    write_filesystem,
    write_interface,
)
from covirt.virtocid.driver.domain_xml.format_metadata import write_metadata
from covirt.virtocid.driver.domain_xml.format_tuning import (
    write_block_io,
    write_cpu_tune,
    write_idmap,
    write_memory_tune,
    write_numa_tune,
)
from covirt.virtocid.driver.domain_xml.model import DOMAIN_TYPE, DomainConfig, LiveState, ProcessConfig
from covirt.virtocid.driver.domain_xml.run_names import with_run_names

_LIVE_BYTES: Final = 256 * 1024  # room for what a run adds: aliases, names, paths, why it stopped


def format_domain(config: DomainConfig, *, live: LiveState | None = None, secure: bool) -> str:
    """The domain's XML. With ``live`` it has the id, names, aliases and paths of the run.

    ``secure=False``, for read-only clients, blanks the values of environment variables and leaves passwords away.
    """
    if live is not None:
        config = with_live_state(config, live)
    element = group("domain", _children(config, live, secure=secure), type=DOMAIN_TYPE)
    if live is not None:
        element.set("id", str(live.domain_id))
    put_back(element, config.kept, secure=secure)
    if live is not None and live.agent_connected is not None:
        show_agent(element, connected=live.agent_connected)
    return write_document(element)


def storable_text(config: DomainConfig) -> str:
    """What is kept of a configuration, known to be readable again. Raises XmlTooLarge.

    Metadata, one element after the other, can outgrow what read_document() takes. Such a domain would be left out by
    the next daemon, and its container run on without one.
    """
    text = format_domain(config, secure=True)
    size, limit = len(text.encode()), MAX_BYTES - _LIVE_BYTES
    if size > limit:
        raise XmlTooLarge(reason=f"it would have {size} bytes, and the limit is {limit}")
    try:
        read_document(text)
    except XmlError as error:
        raise XmlTooLarge(reason=error.reason) from error
    return text


def with_live_state(config: DomainConfig, live: LiveState) -> DomainConfig:
    """The configuration as it runs: host-side names, terminal, resolved runtime, and an alias for every device."""
    names = dict(enumerate(live.interface_names))
    config = with_run_names(config)
    return replace(
        config,
        settings=replace(config.settings, runtime=live.runtime or config.settings.runtime),
        interfaces=tuple(
            replace(interface, target=names.get(index, interface.target))
            for index, interface in enumerate(config.interfaces)
        ),
        consoles=tuple(
            replace(console, path=live.console_path if index == 0 else None)
            for index, console in enumerate(config.consoles)
        ),
    )


def _children(config: DomainConfig, live: LiveState | None, *, secure: bool) -> list[etree._Element | None]:
    """In any order: put_back() sorts them."""
    return [
        make("name", config.name),
        make("uuid", config.uuid),
        optional("title", config.title),
        optional("description", config.description),
        write_metadata(config.settings, tuple(element.xml for element in config.metadata)),
        make("memory", config.memory_kib, unit="KiB"),
        make("currentMemory", config.current_memory_kib, unit="KiB"),
        write_block_io(config.block_io),
        write_memory_tune(config.memory_tune),
        _vcpu(config),
        write_cpu_tune(config.cpu_tune),
        write_numa_tune(config.numa_tune),
        _os(config.process, config.architecture, secure=secure),
        write_idmap(config.idmap),
        make("on_poweroff", config.on_poweroff),
        make("on_reboot", config.on_reboot),
        make("on_crash", config.on_crash),
        _devices(config, live),
    ]


def _vcpu(config: DomainConfig) -> etree._Element:
    current = None if config.current_vcpus == config.vcpus else config.current_vcpus
    return make("vcpu", config.vcpus, placement="static", cpuset=config.cpuset, current=current)


def _os(process: ProcessConfig, architecture: str | None, *, secure: bool) -> etree._Element:
    return group(
        "os",
        (
            make("type", "exe", arch=architecture),
            optional("init", process.init),
            *(make("initarg", argument) for argument in process.arguments),
            *(make("initenv", value if secure else "", name=name) for name, value in process.environment),
            optional("initdir", process.directory),
            optional("inituser", process.user),
            optional("initgroup", process.group),
        ),
    )


def _devices(config: DomainConfig, live: LiveState | None) -> etree._Element:
    bridges = dict(enumerate(live.interface_bridges)) if live else {}
    return group(
        "devices",
        (
            *(write_disk(disk) for disk in config.disks),
            *(write_filesystem(filesystem) for filesystem in config.filesystems),
            *(
                write_interface(interface, bridge=bridges.get(index))
                for index, interface in enumerate(config.interfaces)
            ),
            *(write_console(console) for console in config.consoles),
        ),
    )
