# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a domain's XML."""

from covirt.common.errors import InvalidRequest


class XmlError(InvalidRequest):
    """Not well-formed, or built in a way that is never read (DOCTYPE, too large, too deep)."""

    template = "the XML is not read: {reason}"


class XmlTooLarge(XmlError):
    """A change would make a domain that could not be read again."""

    template = "the domain's whole XML would be too large: {reason}"


class InvalidXml(InvalidRequest):
    """Well-formed, but a part that is known says something impossible. Fields: xpath, line, reason."""

    template = "{xpath} in line {line}: {reason}"
