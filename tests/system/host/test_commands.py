# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-host enrol and covirt-host check, as an administrator types them."""

import datetime
import os
import pty
import select
import ssl
from pathlib import Path

import pytest

from covirt.common.process import Completed, run, spawn
from covirt.common.root import Root
from covirt.rpc.tls import TlsFiles, client_context
from tests.support.covirt_host import SECONDS, CovirtHost, serve_covirt_host
from tests.support.enrolling_engine import serve_enrolling_engine
from tests.support.raw_stomp import RawStomp
from tests.support.roots import new_directory
from tests.support.waiting import wait_until


def tell(root: Path, *words: str) -> Completed:
    return run([*CovirtHost.program, "--root", root, *words], timeout_seconds=SECONDS, check=False)


def test_from_nothing_to_a_host_that_answers(tmp_path: Path) -> None:
    with new_directory() as root, serve_enrolling_engine(tmp_path) as engine:
        serving = tell(root)
        assert serving.status == 1
        assert b"run covirt-host enrol --engine URL --token-file FILE" in serving.stderr.splitlines()[-1]
        before = tell(root, "check")
        assert before.status == 1
        assert b"MISSING  certificate" in before.stdout
        assert b"-> covirt-host enrol --engine URL --token-file FILE" in before.stdout
        token = tmp_path / "token"
        token.write_text(engine.token)
        enrolled = tell(root, "enrol", "--engine", engine.url, "--token-file", str(token), "--name", "localhost")
        assert enrolled.status == 0, enrolled.stderr
        assert b"ok       certificate" in tell(root, "check").stdout
        with serve_covirt_host(Root(root), port=54381) as host, host.client() as client:
            assert client.call("Host.ping2") is True


def test_the_running_host_gets_a_new_certificate_in_time(tmp_path: Path) -> None:
    """It starts in the last third of its certificate's life; clients that come later are shown the new one."""
    with new_directory() as root, serve_enrolling_engine(tmp_path) as engine:
        engine.begins, engine.ends = datetime.timedelta(days=-9), datetime.timedelta(days=1)
        enrolled = tell(root, "enrol", "--engine", engine.url, "--token", engine.token, "--name", "localhost")
        assert enrolled.status == 0, enrolled.stderr
        engine.begins, engine.ends = datetime.timedelta(minutes=-5), datetime.timedelta(days=398)
        first = (root / "etc/pki/vdsm/certs/vdsmcert.pem").read_text()
        with serve_covirt_host(Root(root), port=54382) as host:
            wait_until(lambda: "The host has a new certificate" in host.log, what="the renewal")
            files = TlsFiles.in_directory(host.pki)
            second = files.certificate.read_text()
            with RawStomp(host.port, client_context(files)) as client:
                shown = client.socket.getpeercert(binary_form=True)  # type: ignore[attr-defined]  # it is TLS
                assert client.call("Host.ping2")["result"] is True
        assert second != first
        assert ssl.DER_cert_to_PEM_cert(shown) == second
        assert engine.signed == 2


def test_what_is_missing_is_told_with_what_mends_it() -> None:
    with new_directory() as root:
        lines = tell(root, "check").stdout.decode().splitlines()
    assert any(line.startswith("MISSING  libvirtd: it does not answer at") for line in lines)
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert not line.startswith("MISSING") or following.startswith("         -> ")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("covirt-host", ()),
        ("covirt-host", ("enrol", "--engine", "https://localhost:1", "--token", f"a.{'b' * 64}")),
        ("virtocid", ()),
    ],
)
def test_who_may_not_write_is_told_in_a_sentence(tmp_path: Path, program: str, words: tuple[str, ...]) -> None:
    root = tmp_path / "root"
    root.mkdir(mode=0o555)
    # What root may do everywhere is taken away, so that the directory's mode counts.
    plain = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    path = CovirtHost.program[0].with_name(program)
    refused = run([*plain, path, "--root", root, *words], timeout_seconds=SECONDS, check=False)
    (line,) = refused.stderr.decode().splitlines()
    assert refused.status == 1
    assert line.startswith(f"{program}: {root}/")
    assert line.endswith(f"{program} needs root, or a --root that its user may write to")


def test_a_token_that_is_none(tmp_path: Path) -> None:
    refused = tell(tmp_path, "enrol", "--engine", "https://localhost:1", "--token", "nonsense")
    assert refused.status == 1
    assert refused.stderr.startswith(b"covirt-host: the token is not one of an engine's")


def test_a_token_that_is_typed_is_not_seen(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        with (
            open(theirs, "r+b", buffering=0, closefd=False) as terminal,
            (tmp_path / "said").open("wb") as said,
            spawn(
                [*CovirtHost.program, "--root", tmp_path, "enrol", "--engine", "https://127.0.0.1:1"],
                stdin=terminal,
                stdout=said,
                stderr=said,
                own_session=True,
            ) as child,
        ):
            wait_until(lambda: b"Token: " in (tmp_path / "said").read_bytes(), what="the prompt")
            os.write(ours, b"not-a-token\n")
            assert child.wait(timeout_seconds=SECONDS) == 1
        shown = os.read(ours, 4096) if select.select([ours], [], [], 0)[0] else b""
        assert b"not-a-token" not in shown
    finally:
        os.close(ours)
        os.close(theirs)
