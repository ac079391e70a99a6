# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Sources as users write them, and the names that images get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.common.errors import Error
from covirt.oci.image.errors import BadSource, SourceWithoutScheme, UnknownSourceScheme
from covirt.oci.image.reference import Scheme, check_name, parse_source, scrub

_DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("docker://registry.example.com/library/busybox:1.36", "busybox-1.36"),
        ("docker://registry.example.com:5000/a/b/c", "c"),
        ("docker://registry.example.com/box:latest", "box"),
        (f"docker://registry.example.com/box@{_DIGEST}", "box"),
        (f"docker://box@{_DIGEST}", "box"),
        ("docker://[::1]:5000/box:1", "box-1"),
        ("docker://127.0.0.1:5000/my__box/a-b.c", "a-b.c"),
        ("oci:/srv/layout:tag", "layout-tag"),
        ("oci:/srv/layout:latest", "layout"),
        ("oci:/srv/layout", "layout"),
        ("oci-archive:/srv/my image.tar.gz", "my-image"),
        ("oci-archive:/srv/x.oci:v1", "x-v1"),
        ("docker-archive:/srv/x.tar:example.com/web:2", "web-2"),
        ("docker-archive:/srv/.tar", "image"),
        ("aci:/srv/web.aci", "web"),
        ("aci:/srv/a:b.aci", "a-b"),
        ("oci:/srv/---", "image"),
    ],
)
def test_the_name_comes_from_the_source(text: str, name: str) -> None:
    assert parse_source(text).default_name == name
    assert check_name(name) == name


def test_a_relative_path_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert parse_source("oci:here:tag").skopeo_name == f"oci:{tmp_path}/here:tag"
    assert parse_source("docker-archive:x.tar").skopeo_name == f"docker-archive:{tmp_path}/x.tar"


@pytest.mark.parametrize(
    "text", ["", "UPPER", "/a/path", "ftp://x", "dir:/x", "docker-daemon:x", "containers-storage:x"]
)
def test_other_schemes_are_unknown(text: str) -> None:
    with pytest.raises(UnknownSourceScheme, match=r"is not known; write one of docker://"):
        parse_source(text)


@pytest.mark.parametrize("text", ["busybox", "docker.io/library/busybox", "host:5000/box:tag"])
def test_a_registry_needs_its_scheme(text: str) -> None:
    with pytest.raises(SourceWithoutScheme, match=f"write docker://{text} "):
        parse_source(text)


@pytest.mark.parametrize(
    "text",
    [
        "docker:box",
        "docker://",
        "docker://host/",
        "docker://host/UPPER",
        "docker://host/box:",
        "docker://host/box:tag:tag",
        f"docker://host/box:tag@{_DIGEST}",
        "docker://host/box@sha256:abc",
        "docker://host/box --src-tls-verify=false",
        "docker://host/../box",
        "docker://user:pw@host/box",
        "oci:",
        "aci:",
        "oci:/x\ny",
        "oci:/x\0y",
    ],
)
def test_malformed_sources_are_refused(text: str) -> None:
    with pytest.raises(BadSource):
        parse_source(text)


def test_credentials_are_told_apart_and_hidden() -> None:
    with pytest.raises(BadSource) as caught:
        parse_source("docker://someone:pa55@registry.example.com/box")
    assert "pa55" not in str(caught.value)
    assert "--authfile" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ('Get "https://u:p@host/v2/": x', 'Get "https://host/v2/": x'),
        ("http://u@host and docker://a:b@c/d", "http://host and docker://c/d"),
        ("nothing@here", "nothing@here"),
        (f"docker://host/box@{_DIGEST}", f"docker://host/box@{_DIGEST}"),
    ],
)
def test_scrub(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


@given(st.text(max_size=60), st.sampled_from([*Scheme, ""]))
def test_any_text_is_a_source_or_an_error(text: str, scheme: str) -> None:
    try:
        source = parse_source(f"{scheme}:{text}")
    except Error:
        return
    assert check_name(source.default_name)
    assert source.skopeo_name.startswith(f"{scheme}:")
