# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Layouts read with care: what was copied is still the word of strangers."""

import json
from pathlib import Path

import pytest

from covirt.oci.image.layout import LAYER_TYPE, blob_path, make_blobs, read_layout, write_layout
from covirt.oci.image.model import BadConfig

_LAYER = f"sha256:{'c' * 64}"
_CONFIG = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [_LAYER]}}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    make_blobs(tmp_path)
    write_layout(tmp_path, config=_CONFIG, layers=[(LAYER_TYPE, _LAYER, 5)])
    return tmp_path


def test_what_is_written_is_read(layout: Path) -> None:
    image = read_layout(layout)
    assert image.config == _CONFIG
    assert [(layer.digest, layer.diff_id, layer.media_type) for layer in image.layers] == [
        (_LAYER, _LAYER, LAYER_TYPE)
    ]


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "sha512:" + "0" * 128, "", "sha256:" + "A" * 64])
def test_a_digest_never_leads_out(layout: Path, digest: str) -> None:
    with pytest.raises(BadConfig):
        blob_path(layout, digest)
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["digest"] = digest
    (layout / "index.json").write_text(json.dumps(index))
    with pytest.raises(BadConfig):
        read_layout(layout)


def test_a_changed_blob_is_found(layout: Path) -> None:
    blob = blob_path(layout, read_layout(layout).digest)
    blob.write_bytes(blob.read_bytes() + b" ")
    with pytest.raises(BadConfig, match=r"does not match its digest"):
        read_layout(layout)


def test_a_link_is_not_followed(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("x") / "file"
    blob = blob_path(layout, read_layout(layout).digest)
    blob.rename(elsewhere)
    blob.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"symbolic links"):
        read_layout(layout)


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        ({}, [(LAYER_TYPE, _LAYER, 5)]),
        ({"rootfs": {"diff_ids": []}}, [(LAYER_TYPE, _LAYER, 5)]),
        ({"rootfs": {"diff_ids": ["x"]}}, [(LAYER_TYPE, _LAYER, 5)]),
        ({"rootfs": {"diff_ids": [_LAYER] * 2000}}, [(LAYER_TYPE, _LAYER, 5)] * 2000),
        ({"rootfs": []}, []),
    ],
)
def test_layers_and_their_ids_must_agree(
    tmp_path: Path, config: dict[str, object], layers: list[tuple[str, str, int]]
) -> None:
    make_blobs(tmp_path)
    write_layout(tmp_path, config=config, layers=layers)
    with pytest.raises(BadConfig):
        read_layout(tmp_path)


@pytest.mark.parametrize(
    "index", ["", "{}", '{"manifests": []}', '{"manifests": [1]}', '{"manifests": [{}, {}]}', "[]"]
)
def test_an_index_of_anything_but_one_image(layout: Path, index: str) -> None:
    (layout / "index.json").write_text(index)
    with pytest.raises(BadConfig):
        read_layout(layout)


def test_a_huge_manifest_is_not_read(layout: Path) -> None:
    (layout / "index.json").write_bytes(b" " * (5 << 20))
    with pytest.raises(BadConfig, match=r"larger"):
        read_layout(layout)
