# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The operations on machines."""

from typing import Final

from covirt.engine.commands.templates.add import AddVmTemplate
from covirt.engine.commands.templates.remove import RemoveVmTemplate
from covirt.engine.commands.vms.add_with_disks import AddVmWithDisks
from covirt.engine.commands.vms.discs import ChangeDisc
from covirt.engine.commands.vms.nics import ActivateDeactivateVmNic, AddVmInterface, UpdateVmInterface
from covirt.engine.commands.vms.power import RebootVm, ResetVm, ResumeVm, ShutdownVm, StopVm
from covirt.engine.commands.vms.remove import RemoveVm
from covirt.engine.commands.vms.run import RunVm
from covirt.engine.commands.vms.suspend import HibernateVm

VM_COMMANDS: Final = (
    ActivateDeactivateVmNic,
    AddVmInterface,
    AddVmTemplate,
    AddVmWithDisks,
    ChangeDisc,
    HibernateVm,
    RebootVm,
    RemoveVm,
    RemoveVmTemplate,
    ResetVm,
    ResumeVm,
    RunVm,
    ShutdownVm,
    StopVm,
    UpdateVmInterface,
)
