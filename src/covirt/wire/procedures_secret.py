# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of libvirt's remote protocol: secrets.

``procedures`` says where the facts come from, and has those that list them. A value is read with a writable
connection only.
"""

from types import NoneType
from typing import Final

from covirt.wire import structs as s
from covirt.wire import structs_host as h
from covirt.wire import structs_secret as x
from covirt.wire.declare import read, write
from covirt.wire.protocol import Message

SECRET_DEFINE_XML: Final = write(142, "secret_define_xml", s.XmlFlagsArgs, h.SecretRet, priority=True)
SECRET_GET_XML_DESC: Final = read(143, "secret_get_xml_desc", x.SecretFlagsArgs, s.XmlRet, priority=True)
SECRET_SET_VALUE: Final = write(144, "secret_set_value", x.SecretSetValueArgs, NoneType, priority=True)
SECRET_GET_VALUE: Final = write(145, "secret_get_value", x.SecretFlagsArgs, x.SecretGetValueRet, priority=True)
SECRET_UNDEFINE: Final = write(146, "secret_undefine", x.SecretArgs, NoneType, priority=True)
SECRET_LOOKUP_BY_USAGE: Final = read(
    147, "secret_lookup_by_usage", x.SecretLookupByUsageArgs, h.SecretRet, priority=True
)

EVENT_SECRET_LIFECYCLE: Final = Message(number=382, name="secret_event_lifecycle", body=x.SecretLifecycleMsg)
EVENT_SECRET_VALUE_CHANGED: Final = Message(number=383, name="secret_event_value_changed", body=x.SecretMsg)
