# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with container images: one class, and one sentence naming the source, for each fact."""

from covirt.common.errors import Conflict, Denied, InvalidRequest, NotFound, Unavailable, Unsupported

# What the user wrote.


class UnknownSourceScheme(InvalidRequest):
    template = (
        "{source}: the scheme {scheme!r} is not known; "
        "write one of docker://, oci:, oci-archive:, docker-archive:, aci:"
    )


class SourceWithoutScheme(InvalidRequest):
    template = "{source}: the source has no scheme; write docker://{source} for an image of a registry"


class BadSource(InvalidRequest):
    template = "{source}: not a valid source: {reason}"


class BadImageName(InvalidRequest):
    template = (
        "{name!r} is not a container image name: use 1 to 128 letters, digits, '.', '_' and '-', "
        "and start with a letter or digit"
    )


class BadOutput(InvalidRequest):
    template = "cannot write the container image to {path}: {reason}"


class BadPolicy(InvalidRequest):
    template = "{source}: the signature policy cannot be used: {reason}"


class BadCredentialsFile(InvalidRequest):
    template = "{source}: the credentials file cannot be used: {reason}"


# What the source is.


class NoSuchSource(NotFound):
    template = "{source}: there is no such file or directory"


class NoSuchTag(NotFound):
    template = "{source}: the registry or archive holds no image of this name, tag or digest"


class UnreadableSource(InvalidRequest):
    template = "{source}: not a readable image: {reason}"


class WrongArchitecture(Unsupported):
    template = "{source}: the image is made for {found}, and this host runs {wanted}; choose an image for {wanted}"


class WrongOperatingSystem(Unsupported):
    template = "{source}: the image is made for {found}; only linux images can run here"


class UnsupportedSource(Unsupported):
    template = "{source}: {reason}"


class IdOutOfRange(Unsupported):
    template = (
        "{source}: a file in the image belongs to a user or group above 65535, which a container cannot have; "
        "build the image with smaller ids"
    )


# What stands between the source and us.


class RegistryUnreachable(Unavailable):
    template = "{source}: the registry does not answer: {reason}"


class RegistryBusy(Unavailable):
    template = "{source}: the registry refuses more requests for now (rate limit); try again later"


class RegistryWithoutTls(Unavailable):
    template = "{source}: the registry speaks plain HTTP; give --no-tls-verify if that is intended"


class UntrustedCertificate(Denied):
    template = "{source}: the registry's certificate is not trusted: {reason}; give its authority with --cert-dir"


class WrongCredentials(Denied):
    template = "{source}: the registry wants another user or password; give them with --authfile"


class UntrustedSignature(Denied):
    template = "{source}: the signature policy refuses this image: {reason}"


class DiskFull(Unavailable):
    template = "{source}: no space is left on the disk that holds {path}; free some and try again"


class CopyFailed(Unavailable):
    template = "{source}: copying the image failed: {reason}"


class UnpackFailed(InvalidRequest):
    template = "{source}: the image's layers cannot be unpacked: {reason}"


class PackFailed(Unavailable):
    template = "{source}: packing the image failed: {reason}"


# What we keep.


class NoSuchImage(NotFound):
    template = "there is no container image {name!r}; `virtocid-image list` shows those there are"


class NoSuchImageFile(NoSuchImage):
    template = (
        "there is no container image at {name}; correct the path, or make the file with `virtocid-image import`"
    )


class ImageInUse(Conflict):
    template = "the container image {name!r} is used by {users}; undefine these domains first"


class NotAnImage(InvalidRequest):
    template = "{path} is not a covirt container image: {reason}"


class ImageDamaged(InvalidRequest):
    template = "{path} is damaged: {reason}; import the image again"


class ImageNotRecorded(Denied):
    template = (
        "{path} is whole, but no import on this installation recorded it under this content; "
        "import it again, or remove it"
    )


class FilesystemUnusable(Unsupported):
    template = "this kernel can mount neither erofs nor ext4 with mapped ids: {reason}"
