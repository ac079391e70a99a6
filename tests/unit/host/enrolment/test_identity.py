# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Key and certificate fit each other at every moment, and what does not fit is refused before it is put anywhere."""

import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from covirt.common.process import Secret
from covirt.common.root import Root
from covirt.host.enrolment.enrol import Token
from covirt.host.enrolment.errors import BadCertificate, BadHostName, BadToken, NotEnrolled
from covirt.host.enrolment.identity import Identity, KeyPair
from tests.support.enrolling_engine import EnrollingEngine


@pytest.fixture
def engine(tmp_path: Path) -> EnrollingEngine:
    return EnrollingEngine(tmp_path)


def certificate_for(engine: EnrollingEngine, pair: KeyPair) -> bytes:
    engine.secrets.add("once")
    body = {"request": pair.request_pem.decode()}
    _, answer = engine.answer("/covirt/enrolment", {"Authorization": "Bearer once"}, body, has_certificate=False)
    return str(answer["certificate"]).encode()


def test_a_good_one_is_installed(engine: EnrollingEngine, tmp_path: Path) -> None:
    identity, pair = Identity(Root(tmp_path / "root"), tmp_path / "pki"), KeyPair.new("host.example.com")
    with pytest.raises(NotEnrolled):
        identity.check()
    certificate = certificate_for(engine, pair)
    identity.install(key_pem=pair.key_pem, certificate_pem=certificate, authority_pem=engine.authority_pem)
    identity.check()
    assert not identity.is_due()
    assert identity.files.key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "pki").iterdir()) == ["certs", "keys"]


def test_what_does_not_fit_changes_nothing(engine: EnrollingEngine, tmp_path: Path) -> None:
    identity, pair, other = Identity(Root(tmp_path / "root"), tmp_path / "pki"), KeyPair.new("a"), KeyPair.new("b")
    certificate = certificate_for(engine, pair)
    stranger = EnrollingEngine(tmp_path)
    with pytest.raises(BadCertificate, match="another key"):
        identity.install(key_pem=other.key_pem, certificate_pem=certificate, authority_pem=engine.authority_pem)
    with pytest.raises(BadCertificate, match="has not signed"):
        identity.install(key_pem=pair.key_pem, certificate_pem=certificate, authority_pem=stranger.authority_pem)
    engine.ends = datetime.timedelta(seconds=-1)
    with pytest.raises(BadCertificate, match="was good until"):
        identity.install(
            key_pem=pair.key_pem, certificate_pem=certificate_for(engine, pair), authority_pem=engine.authority_pem
        )
    assert not (tmp_path / "pki").exists()


def test_the_last_third_of_its_life(engine: EnrollingEngine, tmp_path: Path) -> None:
    identity, pair = Identity(Root(tmp_path / "root"), tmp_path / "pki"), KeyPair.new("a")
    engine.begins, engine.ends = datetime.timedelta(days=-71), datetime.timedelta(days=29)
    certificate = certificate_for(engine, pair)
    identity.install(key_pem=pair.key_pem, certificate_pem=certificate, authority_pem=engine.authority_pem)
    assert identity.is_due()


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_a_kill_in_the_middle(
    engine: EnrollingEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    """Between any two of its files; the next start puts in place what was complete."""
    identity = Identity(Root(tmp_path / "root"), tmp_path / "pki")
    first, second = KeyPair.new("a"), KeyPair.new("a")
    for pair in (first, second):
        certificate = certificate_for(engine, pair)
        if pair is second:
            monkeypatch.setattr(Identity, "_finish", lambda _self: None)
        identity.install(
            key_pem=pair.key_pem, certificate_pem=certificate, authority_pem=engine.authority_pem, record=b"{}"
        )
        identity.record.unlink(missing_ok=True)
    monkeypatch.undo()
    for name, target in list(identity._targets().items())[:moved]:
        (tmp_path / "pki/next" / name).replace(target)
    identity.finish()
    identity.check()
    assert identity.files.key.read_bytes() == second.key_pem
    assert identity.record.read_bytes() == b"{}"  # without it nothing would ever be renewed


def test_two_at_once_take_turns(engine: EnrollingEngine, tmp_path: Path) -> None:
    """The agent renews while an administrator enrols anew: key and certificate still fit."""
    pairs = [KeyPair.new("a"), KeyPair.new("a")]
    certificates = [certificate_for(engine, pair) for pair in pairs]

    def install(number: int) -> None:
        identity = Identity(Root(tmp_path / "root"), tmp_path / "pki")
        for _ in range(10):
            identity.install(
                key_pem=pairs[number].key_pem,
                certificate_pem=certificates[number],
                authority_pem=engine.authority_pem,
            )
            identity.finish()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(install, range(2)))
    Identity(Root(tmp_path / "root"), tmp_path / "pki").check()


@pytest.mark.parametrize(("name", "kind"), [("a.example", x509.DNSName), ("192.0.2.1", x509.IPAddress)])
def test_a_request_names_the_host(name: str, kind: type[x509.GeneralName]) -> None:
    request = x509.load_pem_x509_csr(KeyPair.new(name).request_pem)
    (named,) = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert isinstance(named, kind)
    assert str(named.value) == name


@pytest.mark.parametrize("name", ["", "hôte.example", "a b", "a\nb"])
def test_what_is_no_host_s_name(name: str) -> None:
    with pytest.raises(BadHostName):
        KeyPair.new(name)


def test_what_was_not_complete_is_removed(engine: EnrollingEngine, tmp_path: Path) -> None:
    identity, pair = Identity(Root(tmp_path / "root"), tmp_path / "pki"), KeyPair.new("a")
    certificate = certificate_for(engine, pair)
    identity.install(key_pem=pair.key_pem, certificate_pem=certificate, authority_pem=engine.authority_pem)
    (tmp_path / "pki/next").mkdir()
    (tmp_path / "pki/next/key").write_bytes(KeyPair.new("a").key_pem)
    identity.finish()
    identity.check()
    assert not (tmp_path / "pki/next").exists()


def test_tokens(engine: EnrollingEngine) -> None:
    token = Token.parse(f" {engine.token}\n")
    assert (token.secret, len(token.fingerprint)) == ("once-and-never-again", 64)
    assert "once" not in repr(Secret(token.secret))
    assert "once" not in repr(token)
    for wrong in ("", "secret", ".", "secret.abc", "." + "a" * 64, "se cret." + "a" * 64):
        with pytest.raises(BadToken):
            Token.parse(wrong)
