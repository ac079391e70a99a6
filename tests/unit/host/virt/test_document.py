# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""XML made to hurt the agent is refused before it does."""

import pytest

from covirt.host.virt.document import BadXml, read_xml, write_xml


@pytest.mark.parametrize(
    "xml",
    [
        "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><d a='&x;'>&x;</d>",
        "<?xml version='1.0'?><!-- > --><?pi <!x?>\n <!DOCTYPE d><d/>",
        "\ufeff<!DOCTYPE d><d/>",
        "<d>&nothing;</d>",
        "<a>" * 100 + "</a>" * 100,
        "<a>" + "<b/>" * 50_001 + "</a>",
        "<a>" + "x" * 4 * 1024 * 1024 + "</a>",
        "<a>",
        "",
        "<a>\ud800</a>",
        "<a>\0</a>",
    ],
)
def test_refused(xml: str) -> None:
    with pytest.raises(BadXml):
        read_xml(xml)


def test_an_element_stands_for_itself() -> None:
    root = read_xml("<?xml version='1.0' encoding='UTF-16'?><a xmlns:x='urn:x'> <!-- no --><b x:c='1'/>tail</a>")
    assert write_xml(root[0]) == '<b xmlns:x="urn:x" x:c="1"/>'
