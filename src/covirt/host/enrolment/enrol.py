# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of enrolment, and of every renewal after it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from covirt.common.errors import Error
from covirt.common.files import json_bytes, read_json
from covirt.common.process import Secret
from covirt.common.root import Root
from covirt.host.enrolment.engine import Engine
from covirt.host.enrolment.errors import BadToken
from covirt.host.enrolment.identity import Identity, KeyPair

log = logging.getLogger(__name__)

_VERSION: Final = 1
_FINGERPRINT_LETTERS: Final = 64
_LOOK_SECONDS: Final = 3600.0
# An engine may hold up a renewal for longer: then it is left alone, and is over like after a kill when the agent is.
_STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """``SECRET.FINGERPRINT``: what lets a host in once, and what proves the engine to the host."""

    secret: Secret
    fingerprint: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises BadToken."""
        secret, _, print_ = text.strip().rpartition(".")
        if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise BadToken(reason="it has no secret before its last dot")
        if len(print_) != _FINGERPRINT_LETTERS or not set(print_) <= set("0123456789abcdef"):
            raise BadToken(reason="it does not end in the fingerprint of a certificate")
        return cls(secret=Secret(secret), fingerprint=print_)


def enrol(root: Root, pki: Path, *, engine: Engine, token: Token, name: str) -> None:
    """Afterwards the host has a certificate of the engine's; before, whatever fails, what it had.

    Raises BadHostName, WrongAuthority, TokenRefused, EngineUnreachable, BadCertificate, OSError.
    """
    identity = Identity(root, pki)
    identity.prepare()
    pair = KeyPair.new(name)
    authority = engine.authority(token.fingerprint)
    certificate = engine.enrol(authority_pem=authority, secret=token.secret, name=name, request_pem=pair.request_pem)
    identity.install(
        key_pem=pair.key_pem,
        certificate_pem=certificate,
        authority_pem=authority,
        record=json_bytes({"engine": engine.url, "name": name}, version=_VERSION),
    )


class Renewal:
    """Looks now and then whether the certificate has come into the last third of its life, and gets a new one.

    A host whose certificate came otherwise (there is no record of an enrolment) is left alone.
    """

    def __init__(
        self, root: Root, pki: Path, *, on_renewed: Callable[[], object], look_seconds: float = _LOOK_SECONDS
    ) -> None:
        self._identity = Identity(root, pki)
        self._on_renewed = on_renewed
        self._look_seconds = look_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="certificate-renewal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def renew_when_due(self) -> bool:
        """Whether there is a new one. Raises what an engine's refusal or silence is."""
        try:
            record = read_json(self._identity.record, versions=range(_VERSION, _VERSION + 1))
        except FileNotFoundError:
            return False
        if not self._identity.is_due():
            return False
        pair = KeyPair.new(record["name"])
        files = self._identity.files
        certificate = Engine(record["engine"]).renew(files=files, request_pem=pair.request_pem)
        authority = files.ca.read_bytes()
        self._identity.install(key_pem=pair.key_pem, certificate_pem=certificate, authority_pem=authority)
        return True

    def _run(self) -> None:
        while True:
            try:
                if self.renew_when_due():
                    self._on_renewed()
                    log.info("The host has a new certificate")
            except Error as error:
                log.warning("The certificate could not be renewed, and will be tried again reason=%s", error)
            except Exception:  # the top of a thread: there is a next time
                log.exception("The renewal of the certificate failed")
            if self._stopping.wait(self._look_seconds):
                return
