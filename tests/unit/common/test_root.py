# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An installation has its directories and one id for life."""

from pathlib import Path

import pytest

from covirt.common.root import BrokenRootId, Root, boot_id


def test_everything_lies_below_the_root(tmp_path: Path) -> None:
    root = Root(tmp_path)
    places = [
        root.state_dir,
        root.run_dir,
        root.config_dir,
        root.vendor_config_dir,
        root.libvirt_dir,
        root.images_dir,
    ]
    assert all(tmp_path in place.parents for place in places)
    assert len(set(places)) == len(places)


def test_the_hosts_own_installation() -> None:
    root = Root()
    assert (root.state_dir, root.libvirt_dir) == (Path("/var/lib/covirt"), Path("/run/libvirt"))


def test_the_id_is_made_once(tmp_path: Path) -> None:
    first = Root(tmp_path).id
    assert Root(tmp_path).id == first
    assert (len(first), first.islower(), first.isascii()) == (6, True, True)
    assert Root(tmp_path / "other").id != first


@pytest.mark.parametrize("text", ["", "abc", "ABCDEF", "abc/..", "abcdefg"])
def test_a_damaged_id_is_refused(tmp_path: Path, text: str) -> None:
    root = Root(tmp_path)
    root.state_dir.mkdir(parents=True)
    (root.state_dir / "root-id").write_text(text)
    with pytest.raises(BrokenRootId, match="put the old id back"):
        _ = root.id


def test_the_directories_above_the_id_can_be_passed(tmp_path: Path) -> None:
    root = Root(tmp_path / "root")
    assert root.id
    above = [path for path in root.state_dir.parents if tmp_path in path.parents]
    assert [path.stat().st_mode & 0o777 for path in (root.state_dir, *above)] == [0o711] * (len(above) + 1)


def test_the_boot_id_stays_the_same() -> None:
    assert boot_id() == boot_id() != ""
