# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Enrolment over HTTPS, as docs/enrolment.md has it: for hosts, and for whoever makes tokens."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from covirt.common.errors import Denied
from covirt.engine.auth.authenticator import Authenticator
from covirt.engine.auth.errors import Unauthenticated
from covirt.engine.auth.permits import Right
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.change import Change, changing
from covirt.engine.commands.hosts.enrolment import NewToken, add_token, enrol, renew
from covirt.engine.commands.hosts.host import check_new
from covirt.engine.commands.names import check_name
from covirt.engine.hosts.connections import Hosts
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.enrolment import Enrolment
from covirt.engine.model.host import Host
from covirt.engine.pki.pki import Pki
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.store import Store
from covirt.engine.web.json_endpoint import BadJson, JsonAnswer, JsonRequest, json_route

_PATH: Final = "/covirt/enrolment"
_VERSION: Final = 1
_MINUTES: Final = 60  # how long a token counts, unless its maker says otherwise
_MOST_MINUTES: Final = 7 * 24 * 60


class EnrolmentRoutes:
    """The endpoints; threads may share it."""

    def __init__(self, *, store: Store, pki: Pki, authenticator: Authenticator, hosts: Hosts) -> None:
        self._store = store
        self._pki = pki
        self._authenticator = authenticator
        self._hosts = hosts

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{_PATH}/authority", self._authority, methods=("GET",)),
            json_route(_PATH, {"POST": self._enrol}),
            json_route(f"{_PATH}/renewal", {"POST": self._renew}),
            json_route(f"{_PATH}/tokens", {"GET": self._list_tokens, "POST": self._add_token}),
            json_route(f"{_PATH}/tokens/{{id}}", {"DELETE": self._revoke}),
        ]

    def _authority(self, request: Request) -> Response:
        del request
        return Response(self._pki.authority_pem, media_type="application/x-pem-file")

    def _enrol(self, asked: JsonRequest) -> JsonAnswer:
        scheme, _, secret = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated
        _check_version(asked)
        pem = enrol(
            self._store,
            self._pki,
            secret=secret.strip(),
            name=asked.text("name"),
            request_pem=asked.text("request").encode(),
            address=asked.address,
        )
        self._hosts.look()
        return 201, {"version": _VERSION, "certificate": pem.decode()}

    def _renew(self, asked: JsonRequest) -> JsonAnswer:
        _check_version(asked)
        request_pem = asked.text("request").encode()
        pem = renew(self._store, self._pki, certificate_der=asked.certificate_der, request_pem=request_pem)
        return 201, {"version": _VERSION, "certificate": pem.decode()}

    def _list_tokens(self, asked: JsonRequest) -> JsonAnswer:
        return 200, {"tokens": self._visible(self._who(asked))}

    def _add_token(self, asked: JsonRequest) -> JsonAnswer:
        who = self._who(asked)
        minutes = asked.body.get("minutes", _MINUTES)
        if isinstance(minutes, bool) or not isinstance(minutes, int) or not 1 <= minutes <= _MOST_MINUTES:
            raise BadJson(reason=f"'minutes' must be a whole number from 1 to {_MOST_MINUTES}")
        with changing(self._store, who) as change:
            host = _wanted(change, asked)
            made = add_token(change, self._pki, host=host, lifetime=timedelta(minutes=minutes))
        return 201, _told(made)

    def _revoke(self, asked: JsonRequest) -> JsonAnswer:
        who = self._who(asked)
        wanted = asked.path_values["id"]
        with changing(self._store, who) as change:
            found = next((each for each in change.session.enrolments.unused() if each.id == wanted), None)
            if found is None or not _may(change, found):
                raise NoSuchObject(noun="token", id=ascii(wanted)[:60])
            change.session.enrolments.remove_unused(found.id)
        return 200, {}

    def _visible(self, who: Asked) -> list[dict[str, Any]]:
        with self._store.read() as session:
            change = Change(session, who)
            return [_shown(each) for each in session.enrolments.unused() if _may(change, each)]

    def _who(self, asked: JsonRequest) -> Asked:
        """Raises Unauthenticated."""
        principal = self._authenticator.authenticate(asked.headers, asked.address)
        asked.called_by(principal.name)
        return Asked(
            user_id=principal.user_id,
            user_name=principal.name,
            principal_ids=frozenset(principal.ids),
            address=asked.address,
            correlation_id=asked.correlation_id,
        )


def _wanted(change: Change, asked: JsonRequest) -> Host:
    """The host that a token is asked for: one that is there (``host``), or a new one (``name``, ``cluster``)."""
    session = change.session
    if "host" in asked.body:
        named = asked.text("host")
        found = session.hosts.find(id=named) if _is_id(named) else session.hosts.find(name=named)
        if found is None:
            raise NoSuchObject(noun="Host", id=ascii(named)[1:-1][:60])
        return found
    name = asked.text("name")
    check_name("Host", name)
    named = asked.text("cluster", "Default")
    cluster = session.clusters.find(id=named) if _is_id(named) else session.clusters.find(name=named)
    if cluster is None:
        raise NoSuchObject(noun="Cluster", id=ascii(named)[1:-1][:60])
    host = Host(id="", name=name, address=asked.text("address", ""), cluster_id=cluster.id)
    check_new(change, host)
    return host


def _told(made: NewToken) -> dict[str, Any]:
    return {**_shown(made.enrolment), "token": made.token}


def _shown(enrolment: Enrolment) -> dict[str, Any]:
    """Without its secret."""
    return {
        "id": enrolment.id,
        "name": enrolment.name,
        "address": enrolment.address,
        "cluster": enrolment.cluster_id,
        "host": enrolment.host_id,
        "made_by": enrolment.created_by,
        "expires": enrolment.expires.isoformat(timespec="seconds"),
    }


def _may(change: Change, enrolment: Enrolment) -> bool:
    try:
        change.require(Right.CREATE_HOST, Subject(type=ObjectType.CLUSTER, id=enrolment.cluster_id))
    except (Denied, NoSuchObject):
        return False
    return True


def _check_version(asked: JsonRequest) -> None:
    if asked.body.get("version") != _VERSION:
        raise BadJson(reason=f"'version' must be {_VERSION}")


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
