# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of libvirt's remote protocol: limits and shares.

``procedures`` says where the facts come from.
"""

from types import NoneType
from typing import Final

from covirt.wire import structs as s
from covirt.wire import structs_domain as d
from covirt.wire import structs_tuning as t
from covirt.wire.declare import read, write

DOMAIN_PIN_VCPU_FLAGS: Final = write(225, "domain_pin_vcpu_flags", d.DomainPinVcpuFlagsArgs, NoneType)
DOMAIN_SET_BLOCK_IO_TUNE: Final = write(252, "domain_set_block_io_tune", t.DomainSetBlockIoTuneArgs, NoneType)
DOMAIN_GET_BLOCK_IO_TUNE: Final = read(
    253, "domain_get_block_io_tune", t.DomainGetBlockIoTuneArgs, t.DomainGetBlockIoTuneRet
)
DOMAIN_SET_NUMA_PARAMETERS: Final = write(254, "domain_set_numa_parameters", s.DomainParams16FlagsArgs, NoneType)
DOMAIN_SET_VCPU: Final = write(384, "domain_set_vcpu", t.DomainSetVcpuArgs, NoneType)
