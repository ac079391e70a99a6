# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How skopeo is called, and what its words mean: with a program of that name that says what real ones said."""

import json
import os
from pathlib import Path

import pytest

from covirt.common.errors import CommandFailed, Error
from covirt.oci.image import errors, skopeo
from covirt.oci.image.model import host_architecture
from covirt.oci.image.options import ImportOptions
from covirt.oci.image.reference import parse_source

_SOURCE = "docker://registry.example.com:5000/box:404"
_LINE = 'time="2026-11-22T16:15:04Z" level=fatal msg={}'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A skopeo that notes its arguments, says what stderr holds, prints what stdout holds, and ends with status."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "skopeo"
    script.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nenv > {tmp_path}/environment\n'
        f"cat {tmp_path}/stderr >&2\ncat {tmp_path}/stdout\n"
        f"sleep $(cat {tmp_path}/sleep)\nexit $(cat {tmp_path}/status)\n"
    )
    script.chmod(0o755)
    for name, text in (("stderr", ""), ("stdout", "{}"), ("sleep", "0"), ("status", "0")):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return tmp_path


def _inspect(directory: Path, source: str = _SOURCE, **options: object) -> object:
    return skopeo.inspect_manifest(
        parse_source(source),
        ImportOptions(**options),  # type: ignore[arg-type]
        work_dir=directory,
    )


def _failing(directory: Path, message: str) -> None:
    (directory / "stderr").write_text(f"Getting image source signatures\n{_LINE.format(json.dumps(message))}\n")
    (directory / "status").write_text("1")


# Seen with skopeo 1.9.3 (Debian 12) and 1.18.0 (Debian 13); some only from public registries.
_SAID = [
    ("reading manifest 2 in h:5000/box: manifest unknown: manifest unknown", errors.NoSuchTag),
    ('Error parsing image name "{source}": reading manifest 2 in h/a/zz: name unknown: x', errors.NoSuchTag),
    ('Error parsing image name "oci:x:foo": no descriptor found for reference "foo"', errors.NoSuchTag),
    ("initializing source {source}: reading manifest: StatusCode: 404, page not found", errors.NoSuchTag),
    ("unauthorized: authentication required", errors.WrongCredentials),
    ("reading manifest 1 in localhost:15998/a/b: authentication required", errors.WrongCredentials),
    ("reading manifest 2 in h/a/b: manifest unknown", errors.NoSuchTag),
    ("unable to retrieve auth token: invalid username/password: unauthorized: x", errors.WrongCredentials),
    ("denied: requested access to the resource is denied", errors.WrongCredentials),
    ('pinging container registry h: Get "https://h/v2/": dial tcp 1.2.3.4:5000: connect: connection refused',
     errors.RegistryUnreachable),
    ('pinging container registry h: Get "https://h/v2/": dial tcp: lookup h on 1.1.1.1:53: no such host',
     errors.RegistryUnreachable),
    ('Get "https://h/v2/": net/http: TLS handshake timeout', errors.RegistryUnreachable),
    ("received unexpected HTTP status: 503 Service Unavailable", errors.RegistryUnreachable),
    ('Get "https://h/v2/": x509: certificate signed by unknown authority', errors.UntrustedCertificate),
    ("tls: failed to verify certificate: x509: certificate has expired", errors.UntrustedCertificate),
    ("http: server gave HTTP response to HTTPS client", errors.RegistryWithoutTls),
    ("toomanyrequests: You have reached your pull rate limit", errors.RegistryBusy),
    ("Source image rejected: A signature was required, but no signature exists", errors.UntrustedSignature),
    ("Source image rejected: Running image {source} is rejected by policy.", errors.UntrustedSignature),
    ("writing blob: write /x/oci-put-blob46: no space left on device", errors.DiskFull),
    ("Error loading trust policy: open nope.json: no such file or directory", errors.BadPolicy),
    ("choosing image instance: no image found in manifest list for architecture amd64, variant , OS linux",
     errors.WrongArchitecture),
    ('no image found in image index for architecture "amd64", variant "", OS "linux"', errors.WrongArchitecture),
    ('getting username and password: 1 error occurred:\n\t* reading "auth.json": x', errors.BadCredentialsFile),
    ("something nobody has ever seen", errors.CopyFailed),
]  # fmt: skip


@pytest.mark.parametrize(("message", "kind"), _SAID, ids=[message[:50] for message, _ in _SAID])
def test_each_failure_has_its_own_error(program: Path, message: str, kind: type[Error]) -> None:
    """The source is called "404" here, and that must not count as something skopeo said."""
    _failing(program, message.format(source=_SOURCE))
    with pytest.raises(kind) as caught:
        _inspect(program)
    text = str(caught.value)
    assert type(caught.value) is kind
    assert text.startswith(f"{_SOURCE}: ")
    assert "\n" not in text
    assert not isinstance(caught.value, CommandFailed)
    if kind is errors.WrongArchitecture:
        assert host_architecture() in text


@pytest.mark.parametrize(
    ("source", "message", "kind"),
    [
        ("oci:/no/such", "open /no/such/index.json: no such file or directory", errors.NoSuchSource),
        ("oci:/etc", "open /etc/index.json: no such file or directory", errors.UnreadableSource),
        ("oci-archive:/etc/passwd", "untarring file: archive/tar: invalid tar header", errors.UnreadableSource),
        ("docker-archive:/etc/passwd", 'file "manifest.json" not found in tar archive', errors.UnreadableSource),
        ("docker-archive:/etc/passwd", "writing blob: happened during read: unexpected EOF", errors.UnreadableSource),
    ],
)
def test_failures_of_files(program: Path, source: str, message: str, kind: type[Error]) -> None:
    _failing(program, message)
    with pytest.raises(kind):
        _inspect(program, source)


def test_credentials_in_an_answer_are_not_shown(program: Path) -> None:
    _failing(program, 'Get "https://someone:pa55@mirror.example.com/v2/": strange')
    with pytest.raises(errors.CopyFailed) as caught:
        _inspect(program)
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize("said", ["", "plain words\n", 'level=fatal msg="broken \\q quote"', "\xff"])
def test_any_words_become_one_line(program: Path, said: str) -> None:
    (program / "stderr").write_text(said)
    (program / "status").write_text("1")
    with pytest.raises(errors.CopyFailed, match=r"^docker://.*: copying the image failed: .+"):
        _inspect(program)


@pytest.mark.parametrize("answer", ["", "[]", "{", "[" * 100_000])
def test_an_answer_that_is_no_object(program: Path, answer: str) -> None:
    (program / "stdout").write_text(answer)
    with pytest.raises(errors.UnreadableSource):
        _inspect(program)


def test_what_it_is_told(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("SOMETHING_SECRET", "x")
    _inspect(
        program, authfile=program / "auth.json", cert_dir=program, policy=program / "policy.json", tls_verify=False
    )
    arguments = (program / "arguments").read_text().splitlines()
    assert arguments == [
        "--policy", f"{program}/policy.json", "--tmpdir", f"{program}/download", "inspect", "--raw",
        "--authfile", f"{program}/auth.json", "--cert-dir", str(program), "--tls-verify=false", _SOURCE,
    ]  # fmt: skip
    environment = (program / "environment").read_text()
    assert "https_proxy=http://proxy:3128" in environment
    assert "SOMETHING_SECRET" not in environment


def test_a_policy_is_always_named_and_never_switched_off(program: Path) -> None:
    with (program / "lock").open("w") as lock:
        skopeo.copy(
            parse_source("oci:/x:y"),
            ImportOptions(authfile=program / "unused"),
            work_dir=program,
            layout=program / "layout",
            lock_descriptor=lock.fileno(),
            watch=lambda _: None,
        )
    arguments = (program / "arguments").read_text().splitlines()
    assert arguments[:2] == ["--policy", "/etc/containers/policy.json"]
    assert "--insecure-policy" not in arguments
    assert arguments[-2:] == ["oci:/x:y", f"oci:{program}/layout:image"]


def test_a_copy_that_stalls_is_given_up(program: Path) -> None:
    (program / "sleep").write_text("1000")
    with (program / "lock").open("w") as lock, pytest.raises(errors.RegistryUnreachable, match=r"no byte arrived"):
        skopeo.copy(
            parse_source(_SOURCE),
            ImportOptions(stall_seconds=0.3),
            work_dir=program,
            layout=program / "layout",
            lock_descriptor=lock.fileno(),
            watch=lambda _: None,
        )
