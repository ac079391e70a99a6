# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a domain, and the one table from meanings to libvirt's error codes."""

from typing import Final

from covirt.common.errors import (
    CommandFailed,
    Conflict,
    Denied,
    Error,
    InvalidRequest,
    NotFound,
    Unavailable,
    Unsupported,
)
from covirt.oci.runtimes.errors import UnknownRuntime, UnusableRuntime
from covirt.virtocid.driver.agent.errors import AgentCommandFailed, AgentUnresponsive, BadAgentJson
from covirt.virtocid.driver.device_errors import (
    DeviceBusy,
    DeviceExists,
    DeviceFixed,
    NoSuchDevice,
    SeveralDevices,
)
from covirt.virtocid.driver.domain_xml.errors import InvalidXml, XmlError
from covirt.virtocid.driver.secrets.errors import (
    NoSecretValue,
    NoSuchSecret,
    PrivacyFixed,
    SecretExists,
    SecretIsPrivate,
)
from covirt.wire.constants import ErrorCode, ErrorDomain
from covirt.wire.structs import RemoteError


class NoSuchDomain(NotFound):
    template = "Domain not found: no domain with matching {key} '{value}'"


class DomainExists(Conflict):
    template = "domain '{name}' already exists with uuid {uuid}; choose another name, or edit that domain"


class UuidInUse(Conflict):
    template = "a domain with uuid {uuid} already exists under the name '{name}'; keep its name, or use a new uuid"


class DomainIsRunning(Conflict):
    template = "Requested operation is not valid: domain '{name}' is already running"


class DomainIsNotRunning(Conflict):
    template = "Requested operation is not valid: domain '{name}' is not running"


class LiveMaximum(Conflict):
    template = (
        "Requested operation is not valid: the maximum {what} of domain '{name}' cannot be changed while it runs; "
        "--config changes it for the next start"
    )


class DomainIsPaused(Conflict):
    template = "Requested operation is not valid: domain '{name}' is paused; resume it first"


class DomainIsNotPaused(Conflict):
    template = "Requested operation is not valid: domain '{name}' is not paused"


class DomainIsTransient(Conflict):
    template = "Requested operation is not valid: domain '{name}' is transient; define it first"


class DomainBusy(Unavailable):
    template = (
        "domain '{name}' is busy with {job} for longer than {seconds:.0f} seconds; try again when that has ended"
    )


class StopTimedOut(Unavailable):
    template = (
        "domain '{name}' did not end within {seconds:.0f} seconds after {signal}; destroy without --graceful ends it"
    )


class EndTimedOut(Unavailable):
    template = (
        "domain '{name}' was killed and is not gone after {seconds:.0f} seconds; a process of it may hang in the "
        "kernel, and its end is handled when it comes"
    )


class NoMetadata(NotFound):
    template = "Requested metadata element is not present: {what}"


class NoSuchSnapshot(NotFound):
    template = "Domain snapshot not found: {reason}"


class NoSuchCheckpoint(NotFound):
    template = "Domain checkpoint not found: {reason}"


class NoSuchBackup(NotFound):
    template = "Domain backup job id not found: {reason}"


class NoSuchFilter(NotFound):
    template = "Network filter not found: {reason}"


class NoJob(Conflict):
    template = "Requested operation is not valid: no job is active on domain '{name}'"


class NoSuchNetwork(NotFound):
    template = (
        "network '{network}' cannot be used: {reason}; define and start it in libvirt, or name a linux bridge with "
        "<interface type='bridge'> (there are: {bridges})"
    )


class BridgeNotAllowed(Denied):
    template = (
        "bridge '{bridge}' may not be used by containers; the configuration (network.allowed_bridges) has: {allowed}"
    )


class NoImage(InvalidRequest):
    template = (
        "domain '{name}' names no container image; add <disk type='file' device='cdrom'> with the path of an image, "
        "or <covirt:image> with the name of an imported one"
    )


class NothingToRun(InvalidRequest):
    template = "domain '{name}' has nothing to run: its image names no command; add <init> to <os>"


class LogNotAllowed(Denied):
    template = "console log {path} is not below {allowed}; choose a path there, or leave <log> away for the default"


class DirectoryNotAllowed(Denied):
    template = (
        "host directory '{path}' may not be shown in a container; the configuration (container.allowed_directories) "
        "has: {allowed}"
    )


class UnmappedDisk(InvalidRequest):
    template = (
        "nothing says where in the container the disk '{disk}' is to be mounted; write <covirt:volume disk='{disk}' "
        "target='/a/path'/> in <covirt:container> (for a running container, before it is started), or "
        "<covirt:volume target='/a/path'/> in the <disk>"
    )


class BadRootDisk(InvalidRequest):
    template = "the disk '{disk}' of <covirt:root> cannot hold the root layer: {reason}"


class BadMountTarget(InvalidRequest):
    template = "nothing can be mounted at {path}: {reason}; choose another target"


class OverlappingTargets(InvalidRequest):
    template = "{one} and {other} are in each other's way; give them targets of which none lies in another"


class ImageVolumeUnmapped(InvalidRequest):
    template = (
        "the image declares a volume at {path}, and nothing is mounted there; map a disk to it, or write "
        "<covirt:volume discard='{path}'/> in <covirt:container> to have it in memory"
    )


class NoSuchInterface(InvalidRequest):
    template = "domain '{name}' has no interface '{device}'; virsh domiflist shows those it has"


class NoSuchDisk(InvalidRequest):
    template = "domain '{name}' has no disk '{path}'; virsh domblklist shows those it has"


class NoSuchConsole(InvalidRequest):
    template = "domain '{name}' has no console '{device}'; leave the name away for the first one"


class NoSuchChannel(InvalidRequest):
    template = "domain '{name}' has no channel '{channel}'; it has {known}"


class TooManyLogReaders(Conflict):
    template = "{limit} clients read logs already, which is the configured limit (log.max_readers)"


class ConsoleBusy(Conflict):
    template = "console of domain '{name}' is in use by another client; virsh console --force takes it over"


class StartFailed(Unavailable):
    template = "domain '{name}' could not be started: {reason}"


class NotSupported(Unsupported):
    template = "{what} is not supported for a container: {reason}"


class UnknownParameter(Unsupported):
    template = "parameter '{name}' is not supported for a container: {reason}"


class NoSuchStatistics(Unsupported):
    template = "statistics group 0x{groups:x} is not supported for a container: the kernel keeps no such numbers"


class BadArgument(InvalidRequest):
    template = "invalid argument: {what}"


class OperationFailed(CommandFailed):
    template = "{what} of domain '{name}' failed: {reason}"


class NoSuchPool(NotFound):
    template = "Storage pool not found: no storage pool with matching {key} '{value}'; the only one is 'images'"


class NoSuchVolume(NotFound):
    template = "Storage volume not found: no storage vol with matching {key} '{value}'"


# A more precise class comes before its meaning.
_CODES: Final[tuple[tuple[type[Error], ErrorCode], ...]] = (
    (XmlError, ErrorCode.XML_ERROR),
    (InvalidXml, ErrorCode.XML_ERROR),
    (NoSuchDomain, ErrorCode.NO_DOMAIN),  # clients treat it as "gone"
    (NoMetadata, ErrorCode.NO_DOMAIN_METADATA),  # virsh desc needs it
    (NoSuchSnapshot, ErrorCode.NO_DOMAIN_SNAPSHOT),
    (NoSuchCheckpoint, ErrorCode.NO_DOMAIN_CHECKPOINT),
    (NoSuchBackup, ErrorCode.NO_DOMAIN_BACKUP),
    (NoSuchSecret, ErrorCode.NO_SECRET),
    (NoSecretValue, ErrorCode.NO_SECRET),  # these as libvirt's own driver of secrets answers
    (SecretIsPrivate, ErrorCode.INVALID_SECRET),
    (SecretExists, ErrorCode.INTERNAL_ERROR),
    (PrivacyFixed, ErrorCode.INTERNAL_ERROR),
    (NoSuchFilter, ErrorCode.NO_NWFILTER),
    (NoSuchNetwork, ErrorCode.NO_NETWORK),
    (NoSuchPool, ErrorCode.NO_STORAGE_POOL),
    (NoSuchVolume, ErrorCode.NO_STORAGE_VOL),
    (DomainExists, ErrorCode.OPERATION_FAILED),  # as libvirt's own drivers answer
    (UuidInUse, ErrorCode.OPERATION_FAILED),
    (ConsoleBusy, ErrorCode.OPERATION_FAILED),
    (NoSuchDevice, ErrorCode.DEVICE_MISSING),  # Vdsm takes it for "unplugged already"
    (DeviceExists, ErrorCode.OPERATION_FAILED),
    (SeveralDevices, ErrorCode.OPERATION_FAILED),
    (DeviceBusy, ErrorCode.OPERATION_FAILED),
    (DeviceFixed, ErrorCode.OPERATION_UNSUPPORTED),  # as QEMU's driver for what it cannot change
    (StartFailed, ErrorCode.INTERNAL_ERROR),  # as libvirt answers for a guest that does not come up
    (DomainBusy, ErrorCode.OPERATION_TIMEOUT),
    (StopTimedOut, ErrorCode.OPERATION_TIMEOUT),
    (EndTimedOut, ErrorCode.OPERATION_TIMEOUT),
    (AgentUnresponsive, ErrorCode.AGENT_UNRESPONSIVE),
    (AgentCommandFailed, ErrorCode.INTERNAL_ERROR),  # as libvirt answers for every agent that says no
    (BadAgentJson, ErrorCode.INTERNAL_ERROR),
    (UnusableRuntime, ErrorCode.CONFIG_UNSUPPORTED),
    (UnknownRuntime, ErrorCode.CONFIG_UNSUPPORTED),
    (NoSuchStatistics, ErrorCode.ARGUMENT_UNSUPPORTED),  # "not supported" would mean that there are no statistics
    (UnknownParameter, ErrorCode.ARGUMENT_UNSUPPORTED),  # as libvirt answers for a name it does not know
    (NotFound, ErrorCode.INVALID_ARG),
    (Conflict, ErrorCode.OPERATION_INVALID),
    (InvalidRequest, ErrorCode.INVALID_ARG),
    (Unsupported, ErrorCode.NO_SUPPORT),
    (Denied, ErrorCode.OPERATION_DENIED),
    (Unavailable, ErrorCode.OPERATION_FAILED),
    (CommandFailed, ErrorCode.OPERATION_FAILED),
)


_DOMAINS: Final = {
    ErrorCode.XML_ERROR: ErrorDomain.XML,
    ErrorCode.NO_SECRET: ErrorDomain.SECRET,
    ErrorCode.INVALID_SECRET: ErrorDomain.SECRET,
    # Without it clients take the number for another one, that of a server from the year 2009.
    ErrorCode.NO_NWFILTER: ErrorDomain.NWFILTER,
}


def translate(error: Error) -> RemoteError:
    """An expected failure in libvirt's words."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), ErrorCode.INTERNAL_ERROR)
    return RemoteError(code=code, domain=_DOMAINS.get(code, ErrorDomain.NONE), message=str(error))
