# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzz the domain XML: ``python -m tests.fuzz.domain_xml --seconds 60``.

Documents of real clients are damaged, as trees and as bytes. What is refused must be refused with an error of ours;
what is accepted must survive the way through XML unchanged. Anything else ends the run with a traceback.
"""

import random
import time
from pathlib import Path
from typing import Final

from lxml import etree

from covirt.common.errors import InvalidRequest
from covirt.virtocid.driver.domain_xml import LiveState, format_domain, parse_domain
from tests.fuzz._command import has_atheris, new_parser, run_atheris, tell

_SEEDS: Final = sorted((Path(__file__).resolve().parents[1] / "unit/virtocid/data").glob("*.in.xml"))
_MAX_INPUT_BYTES: Final = 16384
_LIVE: Final = LiveState(
    domain_id=1, interface_names=("cv0", "cv1"), console_path="/dev/pts/1", runtime="runc", agent_connected=True
)
_WORDS: Final = (
    "", " ", "0", "-1", "1", "65536", "4294967295", "9223372036854775807", "99999999999999999999", "1e9",
    "0x10", "yes", "on", "/", "/a/../b", "a/b", "..", "a\nb", "::", "::1", "10.0.0.0", "255.255.0.255",
    "0-3,^1", "3-1", "ipv6", "52:54:00:00:00:01", "ff:ff:ff:ff:ff:ff", "SIGRTMIN+99", "unlimited",
    "\u00e4\u0300", "\u2028", "cdrom", "ram", "template", "network", "KiB", "EiB", "exe", "oci", "vnet0",
    "ua-x", "x" * 300,
)  # fmt: skip


def one_input(data: bytes) -> None:
    """Read one document; what is accepted must come back equal, twice."""
    try:
        config = parse_domain(data.decode(errors="surrogateescape"), image_required=False)
    except InvalidRequest:
        return
    text = format_domain(config, secure=True)
    again = parse_domain(text, image_required=False)
    assert again == config, text
    assert format_domain(again, secure=True) == text
    parse_domain(format_domain(config, live=_LIVE, secure=False), live=True, image_required=False)


def _damage_tree(source: random.Random, root: etree._Element) -> None:
    elements = list(root.iter("*"))
    element, other = source.choice(elements), source.choice(elements)
    kind = source.randrange(6)
    if kind == 0:
        element.text = source.choice(_WORDS)
    elif kind == 1:
        names = [str(name) for name in other.attrib] or ["type"]
        element.set(source.choice(names), source.choice(_WORDS))
    elif kind == 2 and (parent := element.getparent()) is not None:
        parent.remove(element)
    elif kind == 3 and not any(ancestor is element for ancestor in other.iterancestors()) and element is not other:
        other.append(etree.fromstring(etree.tostring(element, with_tail=False)))
    elif kind == 4:
        for name in list(element.attrib)[:1]:
            del element.attrib[name]
    else:
        element.tail = source.choice(_WORDS)


def _damage_bytes(source: random.Random, data: bytearray) -> None:
    place = source.randrange(len(data) + 1)
    if source.random() < 0.5:
        data[place:place] = source.choice(
            (b"<", b">", b"&lt;", b"&#0;", b"]]>", b"<!DOCTYPE a>", b"\xff", b"<?x?>", b"'")
        )
    else:
        del data[place : place + source.randint(1, 9)]


def _sample(source: random.Random, seeds: list[bytes]) -> bytes:
    root = etree.fromstring(source.choice(seeds))
    for _ in range(source.randint(0, 4)):
        _damage_tree(source, root)
    data = bytearray(etree.tostring(root, encoding="utf-8"))
    for _ in range(source.choice((0, 0, 0, 1, 2))):
        _damage_bytes(source, data)
    return bytes(data)


def run_random(*, seconds: float, seed: int) -> int:
    """Random damage for so long; the number of inputs tried."""
    source = random.Random(seed)  # noqa: S311 - nothing secret
    seeds = [path.read_bytes() for path in _SEEDS]
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        try:
            data = _sample(source, seeds)
        except ValueError:  # lxml refuses to build some of the damage itself
            continue
        one_input(data)
        count += 1
    return count


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument(
        "--atheris", action="store_true", help="led by coverage instead of by the shape of the documents"
    )
    given = parser.parse_args()
    if given.atheris and has_atheris():
        inputs = f"-seed_inputs={','.join(str(path) for path in _SEEDS)}"
        run_atheris(
            one_input,
            seconds=given.seconds,
            seed=given.seed,
            max_input_bytes=_MAX_INPUT_BYTES,
            options=[inputs],
        )
    else:
        tell("domain_xml", run_random(seconds=given.seconds, seed=given.seed), given.seed)


if __name__ == "__main__":
    main()
