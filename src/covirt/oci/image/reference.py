# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where an image comes from, as the user writes it, and the name it gets when the user gives none."""

import os
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from covirt.oci.image.errors import BadImageName, BadSource, SourceWithoutScheme, UnknownSourceScheme

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_USER_INFO: Final = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@\"']*@")
# distribution's grammar of references: host[:port]/path[:tag][@digest]
_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY_REFERENCE: Final = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_ARCHIVE_ENDINGS: Final = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".oci", ".aci")


class Scheme(StrEnum):
    """Kinds of source; the value is what stands before the colon."""

    REGISTRY = "docker"
    LAYOUT = "oci"
    LAYOUT_ARCHIVE = "oci-archive"
    DOCKER_ARCHIVE = "docker-archive"
    ACI = "aci"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source that is well-formed. ``skopeo_name`` has an absolute path; ``text`` is what the user wrote."""

    scheme: Scheme
    text: str
    skopeo_name: str
    default_name: str
    path: Path | None
    open_file: Path | None = None  # of another process; it is shown at ``path`` to whoever reads it (shown_file)

    def shown_at(self, place: Path) -> "Source":
        """The same, where ``path`` names an open file."""
        tag = self.skopeo_name.removeprefix(f"{self.scheme}:{self.path}")
        return replace(self, path=place, open_file=self.path, skopeo_name=f"{self.scheme}:{place}{tag}")


def scrub(text: str) -> str:
    """``text`` without the user and password of any URL in it."""
    return _USER_INFO.sub(r"\1", text)


def check_name(name: str) -> str:
    """``name`` if an image may be called so. Raises BadImageName."""
    if not _NAME.fullmatch(name):
        raise BadImageName(name=name)
    return name


def parse_source(text: str) -> Source:
    """Read SOURCE of ``virtocid-image import``. Raises UnknownSourceScheme, SourceWithoutScheme, BadSource."""
    prefix, colon, rest = text.partition(":")
    try:
        scheme = Scheme(prefix)
    except ValueError:
        # "docker-daemon:x" is a scheme, and not a repository with a tag.
        if ("/" in text or not colon) and _REGISTRY_REFERENCE.fullmatch(text):
            raise SourceWithoutScheme(source=text) from None
        raise UnknownSourceScheme(source=scrub(text), scheme=prefix if colon else "") from None
    if "\0" in text or "\n" in text:
        raise BadSource(source=repr(text), reason="it holds a control character")
    return _registry_source(text, rest) if scheme is Scheme.REGISTRY else _file_source(scheme, text, rest)


def _registry_source(text: str, rest: str) -> Source:
    if re.match(r"//[^/]*@[^/]*/", rest):
        raise BadSource(source=scrub(text), reason="credentials do not belong here; give them with --authfile")
    if not rest.startswith("//"):
        raise BadSource(source=scrub(text), reason="write docker://host/repository:tag")
    match = _REGISTRY_REFERENCE.fullmatch(rest[2:])
    if match is None:
        raise BadSource(source=scrub(text), reason="write docker://host[:port]/repository[:tag or @sha256:digest]")
    if match["tag"] and match["digest"]:
        raise BadSource(source=text, reason="give a tag or a digest, not both")
    last = match["path"].rpartition("/")[2]
    tag = match["tag"]
    name = last if tag in {None, "latest"} else f"{last}-{tag}"
    return Source(scheme=Scheme.REGISTRY, text=text, skopeo_name=text, default_name=name[:128], path=None)


def _file_source(scheme: Scheme, text: str, rest: str) -> Source:
    place, _, tag = (rest, "", "") if scheme is Scheme.ACI else rest.partition(":")
    if not place:
        raise BadSource(source=text, reason=f"write {scheme}:PATH")
    path = Path(os.path.abspath(place))
    stem = path.name
    while stem.endswith(_ARCHIVE_ENDINGS):
        stem = stem[: stem.rindex(".")]
    # docker-archive:FILE:repository:tag names an image inside; its last words make the better name.
    label = tag.rpartition("/")[2].replace(":", "-").replace("@", "-")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem if scheme is not Scheme.DOCKER_ARCHIVE or not label else label)
    if label and label != "latest" and scheme is not Scheme.DOCKER_ARCHIVE:
        name = f"{name}-{label}"
    return Source(
        scheme=scheme,
        text=text,
        skopeo_name=f"{scheme}:{path}" + (f":{tag}" if tag else ""),
        default_name=re.sub(r"^[^A-Za-z0-9]+", "", re.sub(r"[^A-Za-z0-9._-]+", "-", name))[:128] or "image",
        path=path,
    )
