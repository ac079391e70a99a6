# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Format V5 of a volume's metadata: at most 512 bytes of ``KEY=VALUE`` lines in the order of keys, then ``EOF``."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from covirt.host.storage.domain_format import BLANK_ID
from covirt.host.storage.image_volumes import Allocation
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.storage_errors import BadStorageValue, BrokenVolumeMetadata, VolumeMetadataTooLong

METADATA_LIMIT_BYTES: Final = 512
_DESCRIPTION_LIMIT: Final = 210  # characters; longer ones are cut, as engines expect
_GENERATIONS: Final = 1000
DATA_DISK: Final = "DATA"
_FILE_LIMIT_BYTES: Final = 1 << 63
_DISK_TYPES: Final = frozenset(
    {"DATA", "ISOF", "MEMD", "MEMM", "OVFS", "HEVD", "HESD", "HEMD", "HECI", "SCRD", "2", "1"}
)
_FORMATS: Final[Mapping[str, ImageFormat]] = {"RAW": ImageFormat.RAW, "COW": ImageFormat.QCOW2}
_FORMAT_NAMES: Final = {image_format: name for name, image_format in _FORMATS.items()}


class Place(StrEnum):
    """Where a volume is in its chain: on top, below another, or a template's."""

    LEAF = "LEAF"
    INTERNAL = "INTERNAL"
    SHARED = "SHARED"


class Legality(StrEnum):
    """Whether the content is whole."""

    LEGAL = "LEGAL"
    ILLEGAL = "ILLEGAL"
    FAKE = "FAKE"


def format_name(image_format: ImageFormat) -> str:
    """RAW or COW."""
    return _FORMAT_NAMES[image_format]


def checked_disk_type(text: str) -> str:
    """Raises BadStorageValue."""
    if text not in _DISK_TYPES:
        raise BadStorageValue(name="diskType", value=text, reason=f"one of {', '.join(sorted(_DISK_TYPES))} is")
    return text


def next_generation(generation: int) -> int:
    return (generation + 1) % _GENERATIONS


def one_line(description: str) -> str:
    """A description that fits, and that cannot bring lines of its own."""
    return " ".join(description.splitlines())[:_DESCRIPTION_LIMIT]


def _capacity(text: str) -> int:
    """Raises ValueError for what no file can have."""
    found = int(text)
    if not 0 <= found < _FILE_LIMIT_BYTES:
        raise ValueError(f"CAP is {text[:30]}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMetadata:
    domain_id: str
    image_id: str
    capacity_bytes: int
    format: ImageFormat
    allocation: Allocation
    disk_type: str = DATA_DISK
    parent_id: str = BLANK_ID
    place: Place = Place.LEAF
    legality: Legality = Legality.LEGAL
    description: str = ""
    generation: int = 0
    sequence: int = 0
    created_at: int = field(default_factory=lambda: int(time.time()))  # seconds since the epoch

    @classmethod
    def parse(cls, data: bytes, *, volume_id: str) -> "VolumeMetadata":
        """Raises BrokenVolumeMetadata."""
        try:
            # By line ends alone: a description may hold what Python takes for one, and end in the word EOF.
            text, end, _ = f"\n{data.decode()}".partition("\nEOF\n")
            values = {key: value for key, _, value in (line.partition("=") for line in text.split("\n"))}
            if not end:
                raise BrokenVolumeMetadata(volume_id=volume_id, reason="it has no end")
            return cls(
                domain_id=values["DOMAIN"],
                image_id=values["IMAGE"],
                capacity_bytes=_capacity(values["CAP"]),
                format=_FORMATS[values["FORMAT"]],
                allocation=Allocation(values["TYPE"]),
                disk_type=values["DISKTYPE"],
                parent_id=values["PUUID"],
                place=Place(values["VOLTYPE"]),
                legality=Legality(values["LEGALITY"]),
                description=values["DESCRIPTION"],
                generation=int(values.get("GEN", 0)),
                sequence=int(values.get("SEQ", 0)),
                created_at=int(values["CTIME"]),
            )
        except (KeyError, ValueError) as error:
            raise BrokenVolumeMetadata(volume_id=volume_id, reason=f"a value is wrong or absent ({error})") from error

    def dump(self, *, volume_id: str) -> bytes:
        """Raises VolumeMetadataTooLong."""
        values = {
            "CAP": self.capacity_bytes,
            "CTIME": self.created_at,
            "DESCRIPTION": one_line(self.description),
            "DISKTYPE": self.disk_type,
            "DOMAIN": self.domain_id,
            "FORMAT": format_name(self.format),
            "GEN": self.generation,
            "IMAGE": self.image_id,
            "LEGALITY": self.legality,
            "PUUID": self.parent_id,
            "SEQ": self.sequence,
            "TYPE": self.allocation,
            "VOLTYPE": self.place,
        }
        data = "".join(f"{key}={value}\n" for key, value in values.items()).encode() + b"EOF\n"
        if len(data) > METADATA_LIMIT_BYTES:
            raise VolumeMetadataTooLong(volume_id=volume_id, size=len(data), limit=METADATA_LIMIT_BYTES)
        return data
