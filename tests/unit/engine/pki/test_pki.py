# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's keys over several starts."""

import datetime
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from covirt.engine.pki import certificates
from covirt.engine.pki import pki as module
from covirt.engine.pki.errors import BrokenKeys
from covirt.engine.pki.names import own_names
from covirt.engine.pki.pki import Pki

_NAMES = ("engine.example.com", "localhost", "192.0.2.1", "::1")


def _open(directory: Path, *names: str) -> Pki:
    return Pki(directory / "pki", names=names or _NAMES)


def test_the_first_start_makes_an_authority_and_the_others_keep_it(tmp_path: Path) -> None:
    first = _open(tmp_path)
    again = _open(tmp_path)
    assert again.authority_pem == first.authority_pem == (tmp_path / "pki/ca.pem").read_bytes()
    assert again.server_pem == first.server_pem
    secrets = {path.name for path in (tmp_path / "pki").iterdir() if path.stat().st_mode & 0o077 == 0}
    assert secrets == {"authority.pem", "client.pem", "server.pem"}


def test_what_the_certificates_say(tmp_path: Path) -> None:
    pki = _open(tmp_path)
    authority = x509.load_pem_x509_certificate(pki.authority_pem)
    server = x509.load_pem_x509_certificate(pki.server_pem)
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["engine.example.com", "localhost"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["192.0.2.1", "::1"]
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert server.not_valid_after_utc - server.not_valid_before_utc <= datetime.timedelta(days=398)
    assert pki.server_context().minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_new_name_makes_a_new_certificate_of_the_same_authority(tmp_path: Path) -> None:
    before = _open(tmp_path)
    assert _open(tmp_path, "localhost").server_pem == before.server_pem  # one less is no reason
    after = _open(tmp_path, *_NAMES, "alias.example.com")
    assert after.server_pem != before.server_pem
    assert after.authority_pem == before.authority_pem


def test_a_new_authority_makes_a_new_certificate(tmp_path: Path) -> None:
    before = _open(tmp_path)
    (tmp_path / "pki/authority.pem").unlink()
    after = _open(tmp_path)
    assert after.authority_pem != before.authority_pem
    x509.load_pem_x509_certificate(after.server_pem).verify_directly_issued_by(
        x509.load_pem_x509_certificate(after.authority_pem)
    )


def test_a_certificate_is_renewed_in_the_last_third_of_its_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki = _open(tmp_path)
    pki.server_context()
    before, now = pki.server_pem, datetime.datetime.now(datetime.UTC)
    monkeypatch.setattr(module, "_now", lambda: now + datetime.timedelta(days=250))
    assert not pki.renew_when_due()
    monkeypatch.setattr(module, "_now", lambda: now + datetime.timedelta(days=270))
    assert pki.renew_when_due()
    assert pki.server_pem != before
    assert certificates.read_keyed(tmp_path / "pki/server.pem").certificate_pem == pki.server_pem


@pytest.mark.parametrize(
    "damage", [b"", b"no PEM", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_broken_keys_are_told_and_left_as_they_are(tmp_path: Path, damage: bytes) -> None:
    _open(tmp_path)
    path = tmp_path / "pki/authority.pem"
    path.write_bytes(damage)
    with pytest.raises(BrokenKeys, match=r"authority\.pem"):
        _open(tmp_path)
    assert path.read_bytes() == damage


def test_a_key_beside_anothers_certificate_is_broken(tmp_path: Path) -> None:
    one, two = certificates.new_authority("one"), certificates.new_authority("two")
    certificates.KeyedCertificate(key=one.key, certificate=two.certificate).write(tmp_path / "mixed.pem")
    with pytest.raises(BrokenKeys):
        certificates.read_keyed(tmp_path / "mixed.pem")


def test_the_machines_own_names_come_after_the_configured_ones() -> None:
    names = own_names(["engine.example.com", "localhost"])
    assert names[:2] == ("engine.example.com", "localhost")
    assert {os.uname().nodename, "127.0.0.1", "::1"} <= set(names)
    assert len(set(names)) == len(names)
