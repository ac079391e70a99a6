# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How hosts get their certificates: docs/enrolment.md has the protocol."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from cryptography import x509

from covirt.engine.auth.errors import Unauthenticated
from covirt.engine.auth.permits import Right
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.change import Change, changing
from covirt.engine.commands.command import now
from covirt.engine.commands.hosts import messages
from covirt.engine.commands.hosts.errors import TokenRefused
from covirt.engine.commands.hosts.host import about, add_host, held
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.enrolment import Enrolment
from covirt.engine.model.host import Host
from covirt.engine.pki.pki import Pki
from covirt.engine.store.store import Store

_SECRET_BYTES: Final = 32
_URN: Final = "urn:uuid:"
_NEW_TOKEN: Final = "make a new token in the engine"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """``token`` is a secret, and is kept by nobody but its receiver."""

    token: str
    enrolment: Enrolment


def add_token(change: Change, pki: Pki, *, host: Host, lifetime: timedelta) -> NewToken:
    """For a host that is there, or for a new one without id: name, address (which may be empty) and cluster."""
    if host.id:
        change.require(Right.EDIT_HOST_CONFIGURATION, Subject(type=ObjectType.HOST, id=host.id))
    change.require(Right.CREATE_HOST, Subject(type=ObjectType.CLUSTER, id=host.cluster_id))
    secret = secrets.token_urlsafe(_SECRET_BYTES).replace("-", "_")  # no option of covirt-host enrol
    enrolment = Enrolment(
        id=str(uuid.uuid4()),
        secret_hash=_hashed(secret),
        name=host.name,
        address=host.address,
        cluster_id=host.cluster_id,
        host_id=host.id or None,
        created=now(),
        created_by=change.asked.user_name,
        expires=now() + lifetime,
    )
    change.session.enrolments.add(enrolment)
    return NewToken(token=f"{secret}.{pki.fingerprint}", enrolment=enrolment)


def enrol(store: Store, pki: Pki, *, secret: str, name: str, request_pem: bytes, address: str) -> bytes:
    """The certificate of a host that shows a token's secret and calls itself ``name``; afterwards the engine has the
    host, which is up as soon as it serves. ``address`` is where it came from. Raises TokenRefused, UnfitRequest, and
    what add_host does."""
    with changing(store, Asked.system()) as anonymous:
        enrolment = anonymous.session.enrolments.by_secret(_hashed(secret))
        if enrolment is None:
            raise TokenRefused(reason=f"there is no such token; {_NEW_TOKEN}")
        if enrolment.used is not None:
            raise TokenRefused(reason=f"the token was used already; {_NEW_TOKEN}")
        if enrolment.expires <= now():
            raise TokenRefused(reason=f"the token has expired; {_NEW_TOKEN}")
        # The maker of the token had the right to add it.
        asked = Asked(user_id=None, user_name=enrolment.created_by, address=address)
        change = Change(anonymous.session, asked)
        host = _host(change, enrolment, name)
        pem = _certified(change, pki, host, enrolment, request_pem)
        change.session.enrolments.use(enrolment.id, host.id, now=now())
        change.tell(messages.ENROLLED, about(host), host=host.name)
        return pem


def renew(store: Store, pki: Pki, *, certificate_der: bytes | None, request_pem: bytes) -> bytes:
    """A new certificate for the host that has shown the present one, which TLS has checked. Raises Unauthenticated,
    TokenRefused, UnfitRequest."""
    if certificate_der is None:
        raise Unauthenticated
    with changing(store, Asked.system()) as change:
        enrolment = change.session.enrolments.get(_identity(certificate_der))
        if enrolment is None or enrolment.host_id is None:
            raise TokenRefused(reason=f"the engine has no such host any more; {_NEW_TOKEN}")
        last = change.session.enrolments.last_used(enrolment.host_id)
        if last is None or last.id != enrolment.id:
            raise TokenRefused(reason=f"the host was enrolled again since; {_NEW_TOKEN}")
        host = held(change, enrolment.host_id)
        return _certified(change, pki, host, enrolment, request_pem)


def _host(change: Change, enrolment: Enrolment, name: str) -> Host:
    if enrolment.host_id is not None:
        return held(change, enrolment.host_id)
    host = Host(id="", name=enrolment.name, cluster_id=enrolment.cluster_id, address=enrolment.address or name)
    return held(change, add_host(change, host))


def _certified(change: Change, pki: Pki, host: Host, enrolment: Enrolment, request_pem: bytes) -> bytes:
    """For the address at which the engine reaches the host, and for no other name."""
    pem = pki.certify(request_pem, names=(host.address,), identity=f"{_URN}{enrolment.id}")
    subject = x509.load_pem_x509_certificate(pem).subject.rfc4514_string()
    change.session.hosts.update(replace(host, certificate_subject=subject, certificate_organization="covirt"))
    return pem


def _identity(certificate_der: bytes) -> str:
    """Of the enrolment that a certificate was made by; empty for one that is no host's."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ""
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return next((uri.removeprefix(_URN) for uri in uris if uri.startswith(_URN)), "")


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
