# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The single sign-on and the services beside it, over real TLS with curl: what a client depends on, byte by byte."""

import socket
import ssl
import warnings
from pathlib import Path

import ovirtsdk4
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.authority import TestAuthority
from tests.support.covirt_engine import ADMIN, CovirtEngine


def test_a_token_is_what_ovirts_clients_expect(engine: CovirtEngine) -> None:
    answer = engine.log_in(ADMIN, engine.password)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json) == {"access_token", "scope", "exp", "token_type"}
    assert answer.json["scope"] == "ovirt-app-api"
    assert answer.json["token_type"] == "bearer"  # noqa: S105
    assert answer.json["exp"].isdecimal()
    assert len(answer.json["exp"]) == 13  # milliseconds


def test_parameters_count_in_query_and_body(engine: CovirtEngine) -> None:
    query = f"grant_type=password&scope=ovirt-app-api&username=admin%40internal&password={engine.password}"
    for method in ("GET", "POST"):
        assert engine.curl(f"sso/oauth/token?{query}", "-X", method).status == 200
    assert engine.password not in engine.log


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ("", "invalid_request"),
        ("grant_type=password&username=admin@internal", "invalid_request"),
        ("grant_type=urn:ovirt:params:oauth:grant-type:http", "unsupported_grant_type"),
        ("grant_type=password&username=admin@elsewhere&password=x", "access_denied"),
        ("a=" + "&a=" * 200, "invalid_request"),
        ("%ff=%fe", "invalid_request"),
    ],
)
def test_every_refusal_is_json(engine: CovirtEngine, fields: str, word: str) -> None:
    answer = engine.curl("sso/oauth/token", "--data", fields)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json["error_code"] == word
    assert answer.json["error"]


def test_refusals_for_others_are_openids(engine: CovirtEngine) -> None:
    fields = "grant_type=password&scope=openid&username=x@internal&password=x"
    answer = engine.curl("sso/oauth/token", "--data", fields)
    assert answer.json["error"] == "access_denied"
    assert "x@internal" in answer.json["error_description"]


def test_a_long_body_is_refused(engine: CovirtEngine, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_text("a=" + "x" * 200_000)
    answer = engine.curl("sso/oauth/token", "-H", "Expect:", "--data", f"@{body}")
    assert (answer.status, answer.json["error_code"]) == (400, "invalid_request")


def test_token_info_and_revocation(engine: CovirtEngine) -> None:
    token = engine.token()
    info = engine.curl("sso/oauth/token-info", "--data-urlencode", f"token={token}").json
    assert (info["active"], info["user_id"], info["user_authz"]) == (True, ADMIN, "internal-authz")
    for path in ("services/sso-logout", "sso/oauth/revoke"):  # the second time there is nothing to revoke
        answer = engine.curl(path, "--data", "scope=ovirt-app-api", "--data-urlencode", f"token={token}")
        assert (answer.status, answer.headers["content-type"], answer.json) == (200, "application/json", {})
    gone = engine.curl("sso/oauth/token-info", "--data-urlencode", f"token={token}")
    assert (gone.status, gone.json["error_code"]) == (400, "invalid_grant")
    assert token not in engine.log


def test_basic_authentication(engine: CovirtEngine) -> None:
    assert engine.curl("api", "-u", f"{ADMIN}:{engine.password}").status == 200
    for arguments in (["-u", f"{ADMIN}:wrong"], [], ["-H", "Authorization: Bearer wrong"]):
        refused = engine.curl("api", *arguments)
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="RESTAPI"'
        assert refused.headers.get("content-type", "application/xml").startswith("application/xml")


def test_guessing_has_to_wait(engine: CovirtEngine) -> None:
    answers = [engine.log_in("guessed@internal", "wrong").status for _ in range(7)]
    assert answers[:5] == [400] * 5
    assert 429 in answers[5:]
    refused = engine.log_in("guessed@internal", "wrong")
    if refused.status == 429:
        assert int(refused.headers["retry-after"]) >= 1
        assert "try again in" in refused.json["error"]
    engine.token()  # the right password of another user resets what the address has done


def test_health_and_nothing_else_without_a_login(engine: CovirtEngine) -> None:
    health = engine.curl("services/health")
    assert (health.status, health.body) == (200, b"DB Up!Welcome to Health Status!")
    assert engine.curl("services/nothing").status == 404


def test_the_certificate_to_trust_is_fetched_before_anything_is_trusted(engine: CovirtEngine, tmp_path: Path) -> None:
    url = f"{engine.base}/services/pki-resource?resource=ca-certificate&format=X509-PEM-CA"
    fetched = engine.raw_curl(url, "--insecure").stdout
    head, _, pem = fetched.partition(b"\r\n\r\n")
    assert b"content-type: application/x-x509-ca-cert" in head.lower()
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(pem)
    with engine.connection(ca_file=str(trusted)) as connection:
        assert connection.test(raise_exception=True)
    key = x509.load_pem_x509_certificate(pem).public_key()
    ssh = engine.curl("services/pki-resource?resource=ca-certificate&format=OPENSSH-PUBKEY").body
    expected = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert ssh.strip() == expected
    for query in ("", "?resource=engine-key", "?resource=ca-certificate&format=PKCS12"):
        assert engine.curl(f"services/pki-resource{query}").status == 400


def test_only_the_engines_authority_is_trusted(engine: CovirtEngine, tmp_path: Path) -> None:
    other = TestAuthority().issue(tmp_path).ca
    with pytest.raises(ovirtsdk4.Error, match="certificate"):
        engine.connection(ca_file=str(other)).authenticate()
    with engine.connection(ca_file=None, insecure=True) as connection:
        assert connection.test(raise_exception=True)
    for name in ("localhost", "127.0.0.1"):
        completed = engine.raw_curl(f"https://{name}:{engine.port}/ovirt-engine/api", "--cacert", str(engine.ca_file))
        assert completed.status == 0, completed.stderr
    wrong = f"https://elsewhere.example.com:{engine.port}/"
    resolved = ("--resolve", f"elsewhere.example.com:{engine.port}:127.0.0.1")
    assert engine.raw_curl(wrong, *resolved, "--cacert", str(engine.ca_file)).status == 60


def test_old_tls_and_plain_http_are_not_spoken(engine: CovirtEngine) -> None:
    context = ssl.create_default_context(cafile=str(engine.ca_file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", engine.port)) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost")
    assert engine.raw_curl(f"http://localhost:{engine.port}/ovirt-engine/api").status != 0
