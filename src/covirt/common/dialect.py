# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Names that virtocid and covirt-host share: XML namespaces, and channels with what is spoken on them."""

from typing import Final

from covirt.common.channels import (
    EXEC_CHANNEL,
    LOG_CHANNEL,
    ChannelDecoder,
    ChannelFrame,
    ChannelSize,
    ExecChannelExit,
    ExecChannelRequest,
    FrameKind,
    LogChannelRequest,
)

# covirt's own settings for what libvirt has no word for: <covirt:container> inside <metadata>.
COVIRT_NAMESPACE: Final = "https://covirt.org/xmlns/container/1.0"
# The cause of the last stop, written by virtocid into <metadata>: <covirtstop:cause .../>.
STOP_CAUSE_NAMESPACE: Final = "https://covirt.org/xmlns/stop-cause/1.0"
# How a running container does, written by virtocid into <metadata>: <covirthealth:health .../>.
HEALTH_NAMESPACE: Final = "https://covirt.org/xmlns/health/1.0"
# The name that every client knows the channel of a guest agent by.
AGENT_CHANNEL: Final = "org.qemu.guest_agent.0"
# oVirt's own dialect, from Vdsm's removed container support (reference: vdsm.md, section 1.2).
OVIRT_CONTAINER_NAMESPACE: Final = "http://ovirt.org/vm/containers/1.0"
OVIRT_DRIVE_MAP_NAMESPACE: Final = "http://ovirt.org/vm/containers/drivemap/1.0"
OVIRT_VM_NAMESPACE: Final = "http://ovirt.org/vm/1.0"

__all__ = [
    "COVIRT_NAMESPACE",
    "STOP_CAUSE_NAMESPACE",
    "OVIRT_CONTAINER_NAMESPACE",
    "OVIRT_DRIVE_MAP_NAMESPACE",
    "OVIRT_VM_NAMESPACE",
    "EXEC_CHANNEL",
    "LOG_CHANNEL",
    "ChannelDecoder",
    "ChannelFrame",
    "ChannelSize",
    "ExecChannelExit",
    "ExecChannelRequest",
    "FrameKind",
    "LogChannelRequest",
]
