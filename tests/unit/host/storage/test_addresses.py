# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What clients may name: never a file of the host, however it is spelled."""

import os
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from covirt.common.root import Root
from covirt.host.storage.container_import import ArchiveKind, SourceRefused, archive_source, registry_source
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.imageio import ImageioDaemon
from covirt.host.storage.nbd import NbdServers
from covirt.host.storage.transfers import Transfers

_ROOT = Root("/nonexistent/root")
_RUN = _ROOT.run_dir / "host"
_ID = "6a0cb5e2-3f3c-4b0f-9d0c-4c2b8f4c5a11"
_TRANSFERS = Transfers(
    root=_ROOT,
    directory=_RUN / "imageio",
    daemon=ImageioDaemon(directory=_RUN / "imageio", config=ImagesConfig(), tls=None),
    servers=NbdServers(_RUN / "nbd"),
)
_REPOSITORY = "/nonexistent/root/rhev/data-center"

parts = st.lists(
    st.sampled_from(["mnt", "images", "..", ".", "", _ID, "_exports_data", "%2e%2e", "dom_md", "a\0b", "x?y", "#"]),
    max_size=9,
)
prefixes = st.sampled_from(
    [
        f"file://{_REPOSITORY}/",
        "file:///",
        f"file://host{_REPOSITORY}/",
        f"nbd:unix:{_RUN}/nbd/",
        "http://",
        "nbd:",
        "",
    ]
)


@given(prefixes, parts)
@example(f"file://{_REPOSITORY}/", ["mnt", "_exports_data", _ID, "images", _ID, _ID])
@example(f"file://{_REPOSITORY}/", [_ID, _ID, "images", _ID, _ID])
def test_a_ticket_is_for_a_volume_or_a_server_of_ours(prefix: str, names: list[str]) -> None:
    url = prefix + "/".join(names)
    if not _TRANSFERS.may_serve(url):
        return
    if url.startswith("nbd:"):
        assert os.path.dirname(os.path.normpath(url.removeprefix("nbd:unix:"))) == f"{_RUN}/nbd"
        return
    path = os.path.normpath(url.removeprefix("file://"))
    assert path.startswith(f"{_REPOSITORY}/")
    images, image_id, volume_id = path.split("/")[-3:]
    assert images == "images"
    assert [str(UUID(one)) for one in (image_id, volume_id)] == [image_id, volume_id]


@pytest.mark.parametrize(
    ("names", "may"),
    [
        (["mnt", "_exports_data", _ID, "images", _ID, _ID], True),
        ([_ID, _ID, "images", _ID, _ID], True),
        (["mnt", "_exports_data", _ID, "images", _ID, f"{_ID}.meta"], False),
        (["mnt", "_exports_data", _ID, "images", _ID, _ID.upper()], False),
        ([_ID, "images", _ID, _ID], False),
    ],
)
def test_spellings_of_volumes(names: list[str], may: bool) -> None:
    assert _TRANSFERS.may_serve(f"file://{_REPOSITORY}/{'/'.join(names)}") is may


@given(st.text(max_size=40))
@example("docker://-x")
@example("docker://host/a b")
def test_a_source_is_in_a_registry(text: str) -> None:
    try:
        source = registry_source(text, tls_verify=True)
    except SourceRefused:
        return
    assert source.text.startswith("docker://")
    assert source.text.isprintable()
    assert " " not in source.text
    assert source.registry is not None
    assert "/" not in source.registry


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("docker://busybox", "docker.io"),
        ("docker://library/busybox:1", "docker.io"),
        ("docker://quay.io/a/b@sha256:0", "quay.io"),
        ("docker://localhost:5000/a", "localhost:5000"),
        ("docker://localhost/a", "localhost"),
    ],
)
def test_the_registry_to_log_in_at(url: str, registry: str) -> None:
    assert registry_source(url, tls_verify=True).registry == registry


def test_a_registry_may_have_a_port_only_with_a_path() -> None:
    assert registry_source("docker://busybox:1", tls_verify=True).registry == "docker.io"


def test_an_archive_s_reference_is_no_path() -> None:
    source = archive_source(Path("/volume"), ArchiveKind.OCI, reference="x/box:1", name="volume 1")
    assert source.text == "oci-archive:/volume:x/box:1"
    for reference in ("../x y", "-x", "a\nb"):
        with pytest.raises(SourceRefused):
            archive_source(Path("/volume"), ArchiveKind.OCI, reference=reference, name="volume 1")
