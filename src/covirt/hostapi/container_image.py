# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class ContainerImage, an addition of ours: container images in storage domains."""

from typing import Any, Final, Literal

from pydantic import Field, SecretStr

from covirt.hostapi.verb import Params, Verb

EXTENSION: Final = "container-images"


class DomainParams(Params):
    """A storage domain."""

    pool_id: str = Field(alias="storagepoolID")
    domain_id: str = Field(alias="storagedomainID")


class ImageParams(DomainParams):
    """A container image: one volume, in an image of its own."""

    image_id: str = Field(alias="imageID")
    volume_id: str = Field(alias="volumeID")


class RegistrySource(Params):
    """An image in a registry: ``docker://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]``."""

    url: str
    username: str | None = None
    password: SecretStr | None = None
    tls_verify: bool = Field(alias="tlsVerify", default=True)


class ArchiveSource(ImageParams):
    """An archive that was uploaded into a raw volume. ``reference`` chooses one of several images in it."""

    kind: Literal["oci-archive", "docker-archive", "aci"]
    reference: str | None = None


class ImportParams(ImageParams):
    """Where the image comes from, and the volume that it becomes; neither image nor volume may exist."""

    job_id: str = Field(alias="jobID")
    source: RegistrySource | ArchiveSource
    description: str = Field(default="", max_length=210)


class RemoveParams(ImageParams):
    job_id: str = Field(alias="jobID")


VERBS: Final = (
    Verb(
        name="ContainerImage.import",
        summary="Begins a job that imports a container image into a new volume of a storage domain.",
        params=ImportParams,
        extension=EXTENSION,
        changes=True,
    ),
    Verb(
        name="ContainerImage.list",
        summary="Lists the container images of a storage domain, with the machines on this host that use them.",
        params=DomainParams,
        result=list[dict[str, Any]],
        extension=EXTENSION,
    ),
    Verb(
        name="ContainerImage.inspect",
        summary="Tells a container image's digest, architecture, declared volumes, configuration and users.",
        params=ImageParams,
        result=dict[str, Any],
        extension=EXTENSION,
    ),
    Verb(
        name="ContainerImage.remove",
        summary="Begins a job that removes a container image; one in use on this host is refused.",
        params=RemoveParams,
        extension=EXTENSION,
        changes=True,
    ),
)
