# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Between nodes and bodies on one side, and oVirt's XML and JSON on the other."""

from covirt.engine.api.codec.json_reader import read_json
from covirt.engine.api.codec.json_writer import emit_json
from covirt.engine.api.codec.xml_reader import read_xml
from covirt.engine.api.codec.xml_writer import emit_xml

__all__ = ["emit_json", "emit_xml", "read_json", "read_xml"]
