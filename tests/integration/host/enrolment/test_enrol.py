# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host and an engine that never met, over real TLS."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.root import Root
from covirt.host.enrolment.engine import Engine
from covirt.host.enrolment.enrol import Renewal, Token, enrol
from covirt.host.enrolment.errors import BadEngineUrl, EngineUnreachable, TokenRefused, WrongAuthority
from covirt.host.enrolment.identity import Identity
from tests.support.enrolling_engine import EnrollingEngine, serve_enrolling_engine
from tests.support.waiting import wait_until

NAME = "host.example.com"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EnrollingEngine]:
    with serve_enrolling_engine(tmp_path) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


def enrolled(root: Root, engine: EnrollingEngine) -> Identity:
    pki = root.path / "pki"
    enrol(root, pki, engine=Engine(engine.url), token=Token.parse(engine.token), name=NAME)
    return Identity(root, pki)


def test_a_certificate(root: Root, engine: EnrollingEngine) -> None:
    enrolled(root, engine).check()
    (_, (path, body)) = engine.asked
    assert (path, body["name"], "PRIVATE" in str(body)) == ("/covirt/enrolment", NAME, False)


def test_a_token_is_good_once(root: Root, engine: EnrollingEngine) -> None:
    before = enrolled(root, engine).files.certificate.read_bytes()
    with pytest.raises(TokenRefused, match="used already"):
        enrolled(root, engine)
    assert Identity(root, root.path / "pki").files.certificate.read_bytes() == before


def test_nothing_is_told_to_a_stranger(root: Root, engine: EnrollingEngine) -> None:
    """The token's fingerprint is another engine's: the secret stays here."""
    token = Token.parse(engine.token.rpartition(".")[0] + "." + "a" * 64)
    with pytest.raises(WrongAuthority):
        enrol(root, root.path / "pki", engine=Engine(engine.url), token=token, name=NAME)
    assert [path for path, _ in engine.asked] == ["/covirt/enrolment/authority"]


def test_a_stranger_that_shows_the_engine_s_authority_before_its_own(root: Root, tmp_path: Path) -> None:
    """An authority's certificate is no secret: only what the token's fingerprint is of may be believed."""
    (tmp_path / "real").mkdir()
    real = EnrollingEngine(tmp_path / "real", name="Another authority")
    with serve_enrolling_engine(tmp_path) as stranger:
        stranger.told_authority = real.authority_pem + stranger.authority_pem
        with pytest.raises(EngineUnreachable, match="certificate verify failed"):
            enrol(root, root.path / "pki", engine=Engine(stranger.url), token=Token.parse(real.token), name=NAME)
        assert [path for path, _ in stranger.asked] == ["/covirt/enrolment/authority"]
    with serve_enrolling_engine(tmp_path) as engine:
        engine.told_authority = engine.authority_pem + real.authority_pem
        assert enrolled(root, engine).files.ca.read_bytes() == engine.authority_pem


def test_a_token_is_not_spent_for_what_cannot_be_kept(root: Root, engine: EnrollingEngine) -> None:
    """The state's directory is a file here; as for who is not root, it is found out before anything is asked."""
    root.state_dir.parent.mkdir(parents=True)
    root.state_dir.write_text("in the way")
    with pytest.raises(OSError, match="host"):
        enrolled(root, engine)
    assert engine.asked == []


def test_an_engine_that_is_not_there(root: Root, engine: EnrollingEngine) -> None:
    token = Token.parse(engine.token)
    with pytest.raises(EngineUnreachable):
        enrol(root, root.path / "pki", engine=Engine("https://localhost:1"), token=token, name=NAME)
    with pytest.raises(EngineUnreachable):
        Engine(f"https://{'a' * 70}.example").authority(token.fingerprint)
    for url in ("http://localhost", "localhost", "https://", "https://user@localhost", "https://localhost:x"):
        with pytest.raises(BadEngineUrl):
            Engine(url)


def test_renewal_in_time(root: Root, engine: EnrollingEngine) -> None:
    """Not before the last third; then with a new key, and by itself."""
    identity = enrolled(root, engine)
    first = identity.files.key.read_bytes()
    told: list[str] = []
    renewal = Renewal(root, root.path / "pki", on_renewed=lambda: told.append("renewed"), look_seconds=0.05)
    assert not renewal.renew_when_due()
    engine.begins, engine.ends = datetime.timedelta(days=-9), datetime.timedelta(days=1)
    engine.secrets.add("once-and-never-again")
    enrolled(root, engine)
    engine.begins = datetime.timedelta(minutes=-5)
    engine.ends = datetime.timedelta(days=398)
    renewal.start()
    try:
        wait_until(lambda: told == ["renewed"], what="the renewal")
    finally:
        renewal.stop()
    identity.check()
    assert not identity.is_due()
    assert identity.files.key.read_bytes() != first
    assert engine.asked[-1][0] == "/covirt/enrolment/renewal"


def test_without_an_enrolment_nothing_is_renewed(root: Root) -> None:
    assert not Renewal(root, root.path / "pki", on_renewed=lambda: None).renew_when_due()
