# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Values as XML spells them: text in, a checked value out, ValueError with a reason in words otherwise."""

import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final, TypeVar
from uuid import UUID

from covirt.common.files import usable_id_path
from covirt.common.units import KIB, BadSize, size_bytes

Member = TypeVar("Member", bound=StrEnum)

_CPUSET: Final = re.compile(r"\^?[0-9]{1,5}(-[0-9]{1,5})?(,\^?[0-9]{1,5}(-[0-9]{1,5})?)*")
_CPUSET_CHARACTERS: Final = 16384  # every other CPU of 4096 takes less
_LAST_CPU: Final = 8191  # the kernel's largest NR_CPUS
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_STORE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTERFACE_NAME_MAX: Final = 15  # IFNAMSIZ without the closing zero


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """A reader of whole decimal numbers within bounds."""

    def read(text: str) -> int:
        stripped = text.strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", stripped):
            raise ValueError(f"{text!r} is not a whole number")
        value = int(stripped)
        if not minimum <= value <= maximum:
            raise ValueError(f"{value} is out of range, which is {minimum} to {maximum}")
        return value

    return read


def seconds(minimum: float, maximum: float) -> Callable[[str], float]:
    """A reader of seconds with at most three decimals, within bounds."""

    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text):
            raise ValueError(f"{text!r} is not a number of seconds such as 30 or 0.5")
        value = float(text)
        if not minimum <= value <= maximum:
            raise ValueError(f"{text} is out of range, which is {seconds_text(minimum)} to {seconds_text(maximum)}")
        return value

    return read


def seconds_text(value: float) -> str:
    """What seconds() reads: ``30``, ``0.5``."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def choice(*values: str) -> Callable[[str], str]:
    """A reader that takes one of ``values`` and says them all otherwise."""

    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"{text!r} is not one of {', '.join(values)}")
        return text

    return read


def member(kind: type[Member]) -> Callable[[str], Member]:
    """A reader of an enumeration's values."""
    check = choice(*kind)

    def read(text: str) -> Member:
        return kind(check(text))

    return read


def yes_no(text: str) -> bool:
    return choice("yes", "no")(text) == "yes"


def on_off(text: str) -> bool:
    return choice("on", "off")(text) == "on"


def scaled_bytes(number: str, unit: str) -> int:
    """libvirt's scaled integer; the result fits a signed 64-bit number."""
    try:
        value = size_bytes(number, unit)
    except BadSize as error:
        raise ValueError(str(error)) from error
    if value >= 2**63:
        raise ValueError(f"{number} {unit} is too large")
    return value


def kib(number: str, unit: str) -> int:
    """A size in KiB, rounded up as libvirt does."""
    return -(-scaled_bytes(number, unit) // KIB)


def uuid(text: str) -> UUID:
    """libvirt reads a UUID with or without dashes."""
    stripped = text.strip()
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}", stripped):
        raise ValueError(f"{text!r} is not a UUID")
    value = UUID(stripped)
    if len(set(value.bytes)) == 1:
        raise ValueError(f"{text!r} has the same byte sixteen times, which libvirt's clients take for no UUID")
    return value


def domain_name(text: str) -> str:
    """A name that is also one file name, one host name candidate and one line of a table."""
    if not usable_id_path(text):
        raise ValueError(f"{text!r} is not a usable name: one to 199 bytes without '/', and not '.' or '..'")
    if text != text.strip() or any(not character.isprintable() for character in text):
        raise ValueError(f"{text!r} is not a usable name: no control characters, no space at its ends")
    return text


def xml_text(text: str) -> str:
    """Text that XML can hold: it has no way to write most control characters."""
    if _NOT_XML.search(text):
        raise ValueError("it has a character that XML cannot hold")
    return text


def without_controls(text: str) -> str:
    """Text of a stranger made into what XML can hold: a replacement character stands for each it cannot."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("it may not contain a line break")
    return text


def not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text


def word(text: str) -> str:
    """A plain name: a user, a runtime, a model."""
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not a plain name of letters, digits and _ . + -")
    return text


def absolute_path(text: str) -> str:
    """An absolute path without ``..``; not resolved, as links are followed (or not) where it is opened."""
    if not text.startswith("/"):
        raise ValueError(f"{text!r} is not an absolute path")
    if "\n" in text:
        raise ValueError("a path with a line break is not accepted")
    if ".." in PurePosixPath(text).parts:
        raise ValueError(f"{text!r} has a '..' segment; write the path without it")
    return text


def container_image(text: str) -> str:
    """A path of an image file, or a name in the image store."""
    if text.startswith("/"):
        return absolute_path(text)
    if "/" in text or ":" in text:
        raise ValueError(
            f"{text!r} is neither an absolute path nor the name of an imported container image; an image of a "
            "registry is imported first (virtocid-image import docker://… --name NAME) and then called NAME"
        )
    if not _STORE_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is neither an absolute path nor the name of an imported container image")
    return text


def environment_name(text: str) -> str:
    if not text or "=" in text or any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError(f"{text!r} cannot be the name of an environment variable")
    return text


def cpuset(text: str) -> str:
    """A libvirt CPU list such as ``0-3,^2,8``, kept as text; which CPUs exist is the host's matter."""
    if len(text) > _CPUSET_CHARACTERS:
        raise ValueError(f"a list of CPUs has at most {_CPUSET_CHARACTERS} characters, and this one has {len(text)}")
    compact = "".join(text.split())
    if not _CPUSET.fullmatch(compact):
        raise ValueError(f"{text!r} is not a list of CPUs such as 0-3,^2,8")
    if not cpuset_bits(compact):
        raise ValueError(f"{text!r} leaves no CPU")
    return compact


def cpuset_members(text: str) -> frozenset[int]:
    """The CPUs of a list that ``cpuset`` accepted."""
    bits = cpuset_bits(text)
    return frozenset(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)


def cpuset_bits(text: str) -> int:
    """One bit a CPU: a range costs the same however long it is, so that nobody's XML keeps the daemon busy.

    Raises ValueError for a range that runs backwards and for a CPU that no kernel has.
    """
    bits = 0
    for part in text.split(","):
        first, _, last = part.lstrip("^").partition("-")
        low, high = int(first), int(last or first)
        if high < low:
            raise ValueError(f"{part!r} runs backwards")
        if high > _LAST_CPU:
            raise ValueError(f"{part!r} goes beyond {_LAST_CPU}, the last CPU that Linux can have")
        span = ((1 << high - low + 1) - 1) << low
        bits = bits & ~span if part.startswith("^") else bits | span
    return bits


def mac_address(text: str) -> str:
    """A unicast MAC address in lower case with colons."""
    value = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(value):
        raise ValueError(f"{text!r} is not a MAC address such as 52:54:00:12:34:56")
    if int(value[:2], 16) & 1:
        raise ValueError(f"{text!r} is a multicast address; the second digit of a unicast one is even")
    if value == "00:00:00:00:00:00":
        raise ValueError("the MAC address of all zeros belongs to nobody")
    return value


def ip_address(text: str) -> str:
    """An IPv4 or IPv6 address in its canonical spelling."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def netmask_prefix(text: str) -> int:
    """``255.255.255.0`` -> 24."""
    try:
        return ipaddress.IPv4Network(f"0.0.0.0/{ipaddress.IPv4Address(text)}").prefixlen
    except ValueError:
        raise ValueError(f"{text!r} is not a netmask") from None


def interface_name(text: str) -> str:
    """A name the kernel accepts for a network interface."""
    if (
        not 1 <= len(text.encode()) <= _INTERFACE_NAME_MAX
        or text in {".", ".."}
        or re.search(r"[/:%\s]", text)
        or not text.isprintable()
    ):
        raise ValueError(
            f"{text!r} is no interface name: 1 to {_INTERFACE_NAME_MAX} bytes without '/', ':', '%', space"
        )
    return text


def host_name(text: str) -> str:
    if len(text) > 63 or not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", text):
        raise ValueError(f"{text!r} is not a host name of at most 63 letters, digits, '-' and '.'")
    return text
