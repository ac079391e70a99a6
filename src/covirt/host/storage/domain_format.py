# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Format V5 of a storage domain's metadata: lines of ``KEY=VALUE`` in the order of keys, sealed by a checksum.

What a later version adds is kept as it is, so nothing is lost when this one writes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from covirt.host.storage.storage_errors import BadDomainClass, BrokenDomainMetadata, DomainNameTooLong

VERSION: Final = 5
BLANK_ID: Final = "00000000-0000-0000-0000-000000000000"
BLOCK_BYTES: Final = 512
_SEAL: Final = "_SHA_CKSUM"
_DEFAULT_ALIGNMENT: Final = 1 << 20
# As Vdsm has it for a name that is changed; engines may give a longer one at first.
_NAME_LIMIT: Final = 50
FIRST_NAME_LIMIT: Final = 255


class StorageType(IntEnum):
    """As numbers on the wire, and by these names in metadata."""

    NFS = 1
    FCP = 2
    ISCSI = 3
    LOCALFS = 4
    CIFS = 5
    POSIXFS = 6
    GLUSTERFS = 7


class DomainClass(StrEnum):
    DATA = "Data"
    ISO = "Iso"
    BACKUP = "Backup"

    @classmethod
    def of(cls, number: int) -> "DomainClass":
        """Raises BadDomainClass."""
        try:
            return {1: cls.DATA, 2: cls.ISO, 3: cls.BACKUP}[number]
        except KeyError:
            raise BadDomainClass(value=number) from None


class Role(StrEnum):
    REGULAR = "Regular"
    MASTER = "Master"


class DomainStatus(StrEnum):
    """A domain's state in its pool."""

    ACTIVE = "Active"
    ATTACHED = "Attached"


def checksum(values: Mapping[str, str]) -> str:
    """SHA-1 over the sorted lines without their ends; what is not ASCII is written as XML's numbers."""
    digest = hashlib.sha1(usedforsecurity=False)
    for line in _lines(values):
        digest.update(line.encode("ascii", "xmlcharrefreplace"))
    return digest.hexdigest()


def _lines(values: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in sorted(values.items())]


@dataclass(frozen=True, slots=True)
class DomainMetadata:
    """All values, as text; the properties are those that are read here."""

    values: Mapping[str, str]

    @classmethod
    def parse(cls, data: bytes, *, domain_id: str) -> "DomainMetadata":
        """Raises BrokenDomainMetadata. Metadata without a checksum is believed, as Vdsm does."""
        try:
            lines = data.rstrip(b"\0").decode().split("\n")
        except UnicodeDecodeError as error:
            raise BrokenDomainMetadata(domain_id=domain_id, reason="it is not UTF-8") from error
        pairs = (line.partition("=") for line in lines)
        values = {key.strip(): value for key, equals, value in pairs if equals}
        seal = values.pop(_SEAL, None)
        if seal is not None and seal != checksum(values):
            raise BrokenDomainMetadata(domain_id=domain_id, reason="its checksum is another one")
        found = cls(MappingProxyType(values))
        found.check(domain_id)
        return found

    def check(self, domain_id: str) -> None:
        """Raises BrokenDomainMetadata for metadata of another domain, or whose numbers are none."""
        if self.values.get("SDUUID") != domain_id:
            raise BrokenDomainMetadata(domain_id=domain_id, reason=f"SDUUID is {self.values.get('SDUUID')!r}")
        try:
            _ = (self.version, self.block_size, self.alignment, self.storage_type, self.domain_class, self.role,
                 self.master_version, self.pool_domains, self.spm_id, self.spm_lver)  # fmt: skip
        except (KeyError, ValueError) as error:
            raise BrokenDomainMetadata(domain_id=domain_id, reason=f"a value is wrong or absent ({error})") from error

    def dump(self) -> bytes:
        lines = [*_lines(self.values), f"{_SEAL}={checksum(self.values)}"]
        return "".join(f"{line}\n" for line in lines).encode()

    def changed(self, **values: object) -> "DomainMetadata":
        """With other values under these keys."""
        return DomainMetadata(MappingProxyType({**self.values, **{key: str(value) for key, value in values.items()}}))

    @property
    def version(self) -> int:
        return int(self.values["VERSION"])

    @property
    def name(self) -> str:
        return self.values.get("DESCRIPTION", "")

    @property
    def storage_type(self) -> StorageType:
        return StorageType[self.values["TYPE"].upper()]

    @property
    def domain_class(self) -> DomainClass:
        return DomainClass(self.values["CLASS"].capitalize())

    @property
    def role(self) -> Role:
        return Role(self.values["ROLE"].capitalize())

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(pool for pool in self.values.get("POOL_UUID", "").split(",") if pool)

    @property
    def remote_path(self) -> str:
        return self.values.get("REMOTE_PATH", "")

    @property
    def block_size(self) -> int:
        return int(self.values.get("BLOCK_SIZE", BLOCK_BYTES))

    @property
    def alignment(self) -> int:
        return int(self.values.get("ALIGNMENT", _DEFAULT_ALIGNMENT))

    @property
    def pool_name(self) -> str:
        return self.values.get("POOL_DESCRIPTION", "")

    @property
    def master_version(self) -> int:
        return int(self.values.get("MASTER_VERSION", 0))

    @property
    def spm_id(self) -> int:
        return int(self.values.get("POOL_SPM_ID", -1))

    @property
    def spm_lver(self) -> int:
        return int(self.values.get("POOL_SPM_LVER", -1))

    @property
    def pool_domains(self) -> Mapping[str, DomainStatus]:
        found = (item.partition(":") for item in self.values.get("POOL_DOMAINS", "").split(",") if item)
        return {domain_id: DomainStatus(status.capitalize()) for domain_id, _, status in found}


def domains_text(domains: Mapping[str, DomainStatus]) -> str:
    """A pool's domains as its metadata and getInfo tell them."""
    return ",".join(f"{domain_id}:{status}" for domain_id, status in domains.items())


def domain_name(text: str, *, limit: int = _NAME_LIMIT) -> str:
    """In one line. Raises DomainNameTooLong."""
    name = " ".join(text.splitlines())
    if len(name) > limit:
        raise DomainNameTooLong(length=len(name), limit=limit)
    return name


def new_domain_metadata(
    *,
    domain_id: str,
    name: str,
    storage_type: StorageType,
    domain_class: DomainClass,
    remote_path: str,
    block_size: int,
    alignment: int,
) -> DomainMetadata:
    """Of a domain that is in no pool yet."""
    values = {
        "ALIGNMENT": alignment,
        "BLOCK_SIZE": block_size,
        "CLASS": domain_class,
        "DESCRIPTION": name,
        "IOOPTIMEOUTSEC": 10,
        "LEASERETRIES": 3,
        "LEASETIMESEC": 60,
        "LOCKPOLICY": "",
        "LOCKRENEWALINTERVALSEC": 5,
        "POOL_UUID": "",
        "REMOTE_PATH": remote_path,
        "ROLE": Role.REGULAR,
        "SDUUID": domain_id,
        "TYPE": storage_type.name,
        "VERSION": VERSION,
    }
    return DomainMetadata({key: str(value) for key, value in values.items()})
