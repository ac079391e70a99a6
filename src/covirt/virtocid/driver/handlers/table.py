# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All handlers in one table."""

from covirt.virtocid.dispatch import HandlerTable
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.handlers.absent import AbsentHandlers
from covirt.virtocid.driver.handlers.agent import AgentHandlers
from covirt.virtocid.driver.handlers.connection import ConnectionHandlers
from covirt.virtocid.driver.handlers.console import ConsoleHandlers
from covirt.virtocid.driver.handlers.devices import DeviceHandlers
from covirt.virtocid.driver.handlers.disk_tuning import DiskTuningHandlers
from covirt.virtocid.driver.handlers.lifecycle import LifecycleHandlers
from covirt.virtocid.driver.handlers.lookup import LookupHandlers
from covirt.virtocid.driver.handlers.metadata import MetadataHandlers
from covirt.virtocid.driver.handlers.secrets import SecretHandlers
from covirt.virtocid.driver.handlers.stats import StatsHandlers
from covirt.virtocid.driver.handlers.storage import StorageHandlers
from covirt.virtocid.driver.handlers.tuning import TuningHandlers
from covirt.virtocid.driver.handlers.tuning_changes import TuningChangeHandlers
from covirt.virtocid.driver.handlers.unsupported import refuse_the_rest

_GROUPS = (
    ConnectionHandlers,
    LookupHandlers,
    LifecycleHandlers,
    StatsHandlers,
    TuningHandlers,
    TuningChangeHandlers,
    DiskTuningHandlers,
    MetadataHandlers,
    ConsoleHandlers,
    StorageHandlers,
    SecretHandlers,
    AbsentHandlers,
    DeviceHandlers,
    AgentHandlers,
)


def handler_table(driver: Driver) -> HandlerTable:
    """What the server answers with; a procedure that is not in it is answered "not supported"."""
    table = HandlerTable()
    for group in _GROUPS:
        group(driver).register(table)
    refuse_the_rest(table)
    return table
