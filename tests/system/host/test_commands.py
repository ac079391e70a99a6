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


def test_what_its_user_may_not_open_is_a_finding() -> None:
    with new_directory() as root:
        closed = [root / "run/covirt/host", root / "etc/pki/vdsm/keys", root / "run/libvirt"]
        for directory in closed:
            directory.mkdir(parents=True)
        (root / "run/libvirt/libvirt-sock").touch()
        for directory in closed:
            directory.chmod(0)
        plain = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        told = run([*plain, *CovirtHost.program, "--root", root, "check"], timeout_seconds=SECONDS, check=False)
    lines = told.stdout.decode().splitlines()
    assert not told.stderr
    assert f"note     KVM: it cannot be tried: {root}/run/covirt/host/kvm.json: Permission denied" in lines
    for what, name in (("certificate", "etc/pki/vdsm/keys/vdsmkey.pem"), ("libvirtd", "run/libvirt/libvirt-sock")):
        line = f"note     {what}: not known: {root}/{name} may not be opened by this user"
        assert lines[lines.index(line) + 1] == "         -> sudo covirt-host check"


def test_a_libvirt_that_was_not_tried_is_not_said_to_be_good() -> None:
    with new_directory() as root:
        drop_ins = root / "etc/covirt/host.d"
        drop_ins.mkdir(parents=True)
        (drop_ins / "a.toml").write_text(
            "virt.qemu_uri = 'qemu:///none'\nvirt.oci_uri = 'oci:///none'\ncontainers.enabled = true\n"
        )
        lines = tell(root, "check").stdout.decode().splitlines()
    for what, uri in (("libvirtd", "qemu:///none"), ("containers", "oci:///none")):
        line = f"note     {what}: at {uri} by configuration, which is not tried here"
        assert lines[lines.index(line) + 1] == f"         -> virsh --connect '{uri}' version"


def test_what_only_serving_has_is_refused_before_a_command(tmp_path: Path) -> None:
    refused = tell(tmp_path, "--show-config", "check")
    assert refused.status == 2
    assert refused.stderr.endswith(b"--show-config and --log-level are for serving; leave them out before check\n")
    assert not refused.stdout


def test_a_token_s_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = tell(tmp_path, "enrol", "--engine", "https://localhost:1", "--token-file", f"{tmp_path}/token")
    assert refused.status == 1
    assert refused.stderr.decode() == (
        f"covirt-host: the token cannot be read from {tmp_path}/token: No such file or directory; "
        "name the file with --token-file, or - to type it\n"
    )


@pytest.mark.parametrize("name", ["", "not a name", "bananas!", "300.1.1.1"])
def test_a_name_that_is_none_spends_no_token(tmp_path: Path, name: str) -> None:
    with new_directory() as root, serve_enrolling_engine(tmp_path) as engine:
        refused = tell(root, "enrol", "--engine", engine.url, "--token", engine.token, "--name", name)
        assert refused.status == 1
        assert refused.stderr.startswith(f"covirt-host: {name!r} is no name for a certificate".encode())
        assert not engine.asked


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
