# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of secrets: virsh secret-define, secret-set-value, secret-list and their kin."""

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.virtocid.driver.secrets.secret_xml import format_secret, parse_secret
from covirt.virtocid.driver.secrets.secrets import FILTER_BITS, remote
from covirt.wire import procedures as proc
from covirt.wire import procedures_secret as secret
from covirt.wire import structs as s
from covirt.wire import structs_connect as c
from covirt.wire import structs_host as h
from covirt.wire import structs_secret as x
from covirt.wire.constants import DefineFlag


class SecretHandlers:
    """What they are, everybody may read; a value only who may change it, and only if it is not private."""

    def __init__(self, driver: Driver) -> None:
        self._secrets = driver.secrets

    def register(self, table: HandlerTable) -> None:
        table.add(proc.CONNECT_LIST_ALL_SECRETS, self.list_all)
        table.add(proc.CONNECT_NUM_OF_SECRETS, lambda _ctx, _args: s.NumRet(num=len(self._secrets.all())))
        table.add(proc.CONNECT_LIST_SECRETS, self.list_uuids)
        table.add(proc.SECRET_LOOKUP_BY_UUID, self.by_uuid)
        table.add(secret.SECRET_LOOKUP_BY_USAGE, self.by_usage)
        table.add(secret.SECRET_DEFINE_XML, self.define)
        table.add(secret.SECRET_GET_XML_DESC, self.xml)
        table.add(secret.SECRET_SET_VALUE, self.set_value)
        table.add(secret.SECRET_GET_VALUE, self.get_value)
        table.add(secret.SECRET_UNDEFINE, self.undefine)

    def list_all(self, _ctx: Context, args: s.ListArgs) -> c.ConnectListAllSecretsRet:
        refuse_unknown(args.flags, FILTER_BITS, "virConnectListAllSecrets")
        found = tuple(map(remote, self._secrets.all(args.flags)))
        return c.ConnectListAllSecretsRet(secrets=found if args.need_results else (), ret=len(found))

    def list_uuids(self, _ctx: Context, args: c.ConnectListSecretsArgs) -> c.ConnectListSecretsRet:
        uuids = tuple(str(config.uuid) for config in self._secrets.all())
        return c.ConnectListSecretsRet(uuids=uuids[: max(0, args.maxuuids)])

    def by_uuid(self, _ctx: Context, args: s.UuidArgs) -> h.SecretRet:
        return h.SecretRet(secret=remote(self._secrets.by_uuid(args.uuid)))

    def by_usage(self, _ctx: Context, args: x.SecretLookupByUsageArgs) -> h.SecretRet:
        return h.SecretRet(secret=remote(self._secrets.by_usage(args.usage_type, args.usage_id)))

    def define(self, _ctx: Context, args: s.XmlFlagsArgs) -> h.SecretRet:
        refuse_unknown(args.flags, DefineFlag.VALIDATE, "virSecretDefineXML")
        config = parse_secret(args.xml, checked=bool(args.flags & DefineFlag.VALIDATE))
        return h.SecretRet(secret=remote(self._secrets.define(config)))

    def xml(self, _ctx: Context, args: x.SecretFlagsArgs) -> s.XmlRet:
        refuse_unknown(args.flags, 0, "virSecretGetXMLDesc")
        return s.XmlRet(xml=format_secret(self._secrets.by_uuid(args.secret.uuid)))

    def set_value(self, _ctx: Context, args: x.SecretSetValueArgs) -> None:
        refuse_unknown(args.flags, 0, "virSecretSetValue")
        self._secrets.set_value(args.secret.uuid, args.value)

    def get_value(self, _ctx: Context, args: x.SecretFlagsArgs) -> x.SecretGetValueRet:
        refuse_unknown(args.flags, 0, "virSecretGetValue")
        return x.SecretGetValueRet(value=self._secrets.told_value(args.secret.uuid))

    def undefine(self, _ctx: Context, args: x.SecretArgs) -> None:
        self._secrets.undefine(args.secret.uuid)
