# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a container is not made."""

from covirt.common.errors import InvalidRequest, Unsupported


class ContainersUnavailable(Unsupported):
    template = "this host runs no containers: {reason}"


class BadContainerProperty(InvalidRequest):
    template = "the custom property {name} cannot be used: {reason}"


class RuntimeRefused(Unsupported):
    template = "the container runtime {name} cannot be used: {reason}"


class NoContainerImage(InvalidRequest):
    template = (
        "the container has no image: give it a CD-ROM drive with a container image, or the custom property "
        "containerImage with the name of one on this host"
    )
