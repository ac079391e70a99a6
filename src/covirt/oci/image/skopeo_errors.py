# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What skopeo's complaints mean: the one table from its words to our errors.

skopeo has one exit status for every failure, so the words are all there is. Most of those below were seen with skopeo
1.9 (Debian 12) and 1.18 (Debian 13) against docker-registry, the rest are what public registries answer; what no row
knows becomes CopyFailed with the words.
"""

import json
import re
from pathlib import Path
from typing import Final

from covirt.common.errors import Error
from covirt.oci.image.errors import (
    BadCredentialsFile,
    BadPolicy,
    BadSource,
    CopyFailed,
    DiskFull,
    NoSuchSource,
    NoSuchTag,
    RegistryBusy,
    RegistryUnreachable,
    RegistryWithoutTls,
    UnreadableSource,
    UntrustedCertificate,
    UntrustedSignature,
    WrongArchitecture,
    WrongCredentials,
)
from covirt.oci.image.model import host_architecture
from covirt.oci.image.reference import Scheme, Source, scrub

_LOGRUS_MESSAGE: Final = re.compile(r'\blevel=fatal msg=("(?:[^"\\]|\\.)*"|\S+)')
# The first row that is found decides; the order goes from the certain to the vague.
_ROWS: Final[tuple[tuple[str, type[Error]], ...]] = (
    (r"no space left on device|disk quota exceeded", DiskFull),
    (r"error loading trust policy|invalid policy", BadPolicy),
    (r"source image rejected|signature.*(?:required|invalid|does not|not accepted)", UntrustedSignature),
    (r"no image found in (?:manifest list|image index)|choosing an? image from manifest list", WrongArchitecture),
    (r"server gave http response to https client", RegistryWithoutTls),
    (r"x509:|certificate (?:is not trusted|signed by|has expired|verify)|tls: (?:failed|bad)", UntrustedCertificate),
    (r"getting username and password|authfile|unmarshaling json at", BadCredentialsFile),
    (r"too ?many ?requests|rate limit", RegistryBusy),
    (r"unauthorized|authentication required|invalid username/password|access to the resource is denied|\b40[13]\b",
     WrongCredentials),
    ((r"manifest unknown|name unknown|not found: manifest|repository name not known|no descriptor found for reference"
     r"|tag \S+ not found|reference \S+ not found|no image (?:found|with|matching)|more than one image in oci"
     r"|statuscode: 404|\b404\b"), NoSuchTag),
    ((r"dial (?:tcp|udp)|no such host|connection (?:refused|reset|timed out)|i/o timeout|timeout exceeded"
     r"|timeout awaiting|network is unreachable|no route to host|tls handshake timeout"
     r"|pinging container registry|context deadline"
     r"|\b50[0234]\b|server misbehaving"), RegistryUnreachable),
    (r"invalid reference format|invalid image name|could not parse", BadSource),
)  # fmt: skip
_UNREADABLE: Final = re.compile(
    r"tar header|unexpected eof|untarring|archive/tar|manifest\.json|invalid character|unmarshal|digest did not match"
    r"|does not match|gzip: |zstd|flate|compress|corrupt|not a directory|index\.json|invalid (?:checksum|digest)"
    r"|unsupported manifest|unsupported schema|mimetype|mediatype|blob",
    re.IGNORECASE,
)
_MISSING_FILE: Final = re.compile(r"no such file or directory", re.IGNORECASE)


def message_of(stderr: str) -> str:
    """The last fatal message in skopeo's log, unquoted and on one line."""
    found = _LOGRUS_MESSAGE.findall(stderr)
    if not found:
        lines = stderr.strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"
    last: str = found[-1]
    if last.startswith('"'):
        try:
            last = str(json.loads(last))
        except ValueError:
            last = last[1:-1]
    return " ".join(last.split())


def translate(stderr: str, *, source: Source, work_dir: Path) -> Error:
    """The error that skopeo's stderr stands for. ``work_dir`` is named when its disk is full."""
    message = scrub(message_of(stderr))
    # The name of the source comes back in the words, and a source may be called "404".
    reason = re.sub(r"^Error parsing image name \"?: ", "", message.replace(source.skopeo_name, ""))
    reason = re.sub(r"^(?:Error parsing image name \"+: |initializing source : )", "", reason)
    searched = re.sub(r"https?://\S+|sha256:[0-9a-f]+", "", reason)
    name = scrub(source.text)
    for pattern, kind in _ROWS:
        if re.search(pattern, searched, re.IGNORECASE):
            return _make(kind, name=name, reason=reason, message=message, work_dir=work_dir)
    if source.scheme is not Scheme.REGISTRY:
        if source.path is not None and _MISSING_FILE.search(searched) and not source.path.exists():
            return NoSuchSource(source=name)
        if _MISSING_FILE.search(searched) or _UNREADABLE.search(searched):
            return UnreadableSource(source=name, reason=reason)
    return CopyFailed(source=name, reason=reason)


def _make(kind: type[Error], *, name: str, reason: str, message: str, work_dir: Path) -> Error:
    if kind is DiskFull:
        return DiskFull(source=name, path=work_dir)
    if kind is WrongArchitecture:
        return WrongArchitecture(source=name, found="other machines", wanted=host_architecture())
    if kind is UntrustedSignature:
        return UntrustedSignature(source=name, reason=re.sub(r"^Source image rejected: ", "", message))
    return kind(source=name, reason=reason)
