# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments and answers of procedures about limits and shares."""

from typing import Annotated

from covirt.wire.codec import I32, U32, String, wire_struct
from covirt.wire.params import ParamsCodec, TypedParam
from covirt.wire.structs import RemoteDomain

Params32 = Annotated[tuple[TypedParam, ...], ParamsCodec(32)]


@wire_struct
class DomainSetVcpuArgs:
    """``cpumap`` is a list such as ``1-3``; ``state`` 0 switches these CPUs off."""

    dom: RemoteDomain
    cpumap: String
    state: I32
    flags: U32


@wire_struct
class DomainSetBlockIoTuneArgs:
    """``disk`` is the target name ("vda") or the source path."""

    dom: RemoteDomain
    disk: String
    params: Params32
    flags: U32


@wire_struct
class DomainGetBlockIoTuneArgs:
    """``nparams`` 0 asks for the number of parameters only, and may come without a ``disk``."""

    dom: RemoteDomain
    disk: String | None
    nparams: I32
    flags: U32


@wire_struct
class DomainGetBlockIoTuneRet:
    params: Params32
    nparams: I32
