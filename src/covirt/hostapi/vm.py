# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class VM, and those of class Host that are about Vms."""

import base64
import binascii
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretBytes, model_validator

from covirt.hostapi.errors import Code
from covirt.hostapi.verb import NoParams, Params, Verb

# Of VM.create, an addition of ours: it is no verb, so hosts tell it beside those of verbs.
SECRETS_EXTENSION: Final = "vm-secrets"
# A Vm that has ended holds nothing but its log, so that an engine may leave it where it is.
ENDED_EXTENSION: Final = "vm-ended-log"
_LARGEST_SECRET_BYTES: Final = 65536  # libvirt's limit
MOST_SECRETS: Final = 128

# Any text: what is no UUID is no Vm either, and Vdsm answers so. It is looked up, and never becomes a path.
VmId = Annotated[str, AfterValidator(str.lower)]
# Engines send numbers as texts, and truth as either.
Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else str(value))]


class VmParams(Params):
    """A verb on one Vm."""

    vm_id: VmId = Field(alias="vmID")


def _decoded(value: object) -> bytes:
    """What is wrong is said without the value."""
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        data = None
    if data is None:
        raise ValueError("base64 is expected")
    if len(data) > _LARGEST_SECRET_BYTES:
        raise ValueError(f"a secret has at most {_LARGEST_SECRET_BYTES} bytes")
    return data


class VmSecret(Params):
    """A secret for a container: ``value`` in base64, as the file ``path`` (else /run/secrets/NAME) with mode and
    owner inside (else who the container starts as), or as the variable ``environment``."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    value: Annotated[SecretBytes, BeforeValidator(_decoded)]
    path: str | None = Field(default=None, pattern=r"^/[^\x00-\x1f\x7f\x{fffe}\x{ffff}]+$")
    mode: str = Field(default="0400", pattern=r"^0?[0-7]{3}$")
    uid: int | None = Field(default=None, ge=0, lt=2**32 - 1)
    gid: int | None = Field(default=None, ge=0, lt=2**32 - 1)
    environment: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        if self.path is not None and self.environment is not None:
            raise ValueError("a secret is given in a file or in a variable")
        return self


class VmSettings(Params):
    """``vmParams`` of VM.create; the rest is in the XML's metadata, but ``secrets`` (extension ``vm-secrets``), and
    ``hiberVolHandle`` as of VM.hibernate, for a Vm that begins again from there."""

    xml: str
    state_handle: str = Field(alias="hiberVolHandle", default="")
    secrets: list[VmSecret] = Field(default=[], max_length=MOST_SECRETS)


class CreateParams(Params):
    vm_id: str = Field(alias="vmID", default="")
    settings: VmSettings = Field(alias="vmParams")


class DestroyParams(VmParams):
    graceful_attempts: int = Field(alias="gracefulAttempts", default=1, ge=0, le=10)


class HibernateParams(VmParams):
    """``hibernateVolHandle``: UUIDs with commas between them, of the storage domain, the pool, and image and volume
    of the state and of its description, which stays empty here."""

    state_handle: str = Field(alias="hibernateVolHandle")


class ShutdownParams(VmParams):
    """``delay``: seconds a guest's users are warned; ``timeout``: seconds each way of asking gets."""

    delay_seconds: int = Field(alias="delay", default=30, ge=0)
    message: str = ""
    reboot: bool = False
    timeout_seconds: int = Field(alias="timeout", default=120, ge=0, le=3600)
    force: bool = False


class VmListParams(Params):
    full_status: bool = Field(alias="fullStatus", default=False)
    vm_list: list[str] = Field(alias="vmList", default=[])
    only_uuid: bool = Field(alias="onlyUUID", default=False)


class VmFullListParams(Params):
    vm_list: list[str] = Field(alias="vmList", default=[])


_Stats = dict[str, Any]

VERBS: Final = (
    Verb(name="VM.create", summary="Starts a Vm from its domain XML; the start goes on after the answer.",
         params=CreateParams, result=_Stats, changes=True, malformed=Code.GENERAL),
    Verb(name="VM.destroy", summary="Stops a Vm at once and forgets it.", params=DestroyParams, changes=True),
    Verb(name="VM.shutdown", summary="Asks a guest to end, or to begin anew.", params=ShutdownParams, changes=True),
    Verb(name="VM.reset", summary="Begins anew without asking the guest.", params=VmParams, changes=True),
    Verb(name="VM.pause", summary="Lets a Vm stand still.", params=VmParams, result=_Stats, changes=True),
    Verb(name="VM.cont", summary="Lets a paused Vm go on.", params=VmParams, result=_Stats, changes=True),
    Verb(name="VM.setDestroyOnReboot", summary="Ends the Vm at its next reboot.", params=VmParams, changes=True),
    Verb(name="VM.getStats", summary="Statistics of one Vm, in an array.", params=VmParams, result=list[_Stats],
         quick=True),
    Verb(name="VM.getMigrationStatus", summary="How far a migration is.", params=VmParams, result=_Stats),
    Verb(name="VM.migrate", summary="Moves a running Vm to another host.", params=VmParams, changes=True),
    Verb(name="VM.migrateCancel", summary="Ends a migration.", params=VmParams, changes=True),
    Verb(name="VM.hibernate", summary="Keeps a Vm's state in a volume and ends it; goes on after the answer.",
         params=HibernateParams, changes=True),
    Verb(name="Host.getVMList", summary="All Vms with their statuses, or their ids alone.", params=VmListParams,
         result=list[Any], quick=True),
    Verb(name="Host.getVMFullList", summary="All Vms, or some, with their statuses.", params=VmFullListParams,
         result=list[_Stats], quick=True),
    Verb(name="Host.dumpxmls", summary="libvirt's XML of some Vms, by id; one that is not there is left out.",
         params=VmFullListParams, result=dict[str, str]),
    Verb(name="Host.getAllVmStats", summary="Statistics of all Vms.", params=NoParams, result=list[_Stats],
         quick=True),
)  # fmt: skip
