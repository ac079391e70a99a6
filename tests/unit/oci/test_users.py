# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The user of a container, looked up in the image's own files, which may be anything."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.oci.isolation_errors import BadUserName, NoSuchGroup, NoSuchUser
from covirt.oci.users import ResolvedUser, resolve_user

USERS = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:Web,,,:/srv/www:/bin/sh\n77:x:500:501::/odd:/bin/sh\n"
GROUPS = "root:x:0:\nweb:x:102:\nlogs:x:103:web,root\nssl:x:104: web \nweb-too:x:102:web\n"


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(USERS)
    (tmp_path / "etc/group").write_text(GROUPS)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "uid", "gid", "additional", "home"),
    [
        ("", 0, 0, (103,), "/root"),
        ("root", 0, 0, (103,), "/root"),
        ("web", 101, 102, (103, 104), "/srv/www"),
        ("101", 101, 102, (103, 104), "/srv/www"),
        ("web:root", 101, 0, (), "/srv/www"),
        ("web:4000", 101, 4000, (), "/srv/www"),
        ("4000", 4000, 0, (), "/"),
        ("4000:logs", 4000, 103, (), "/"),
        ("77", 500, 501, (), "/odd"),
        (":logs", 0, 103, (), "/root"),
    ],
)
def test_names_and_numbers(
    rootfs: Path, text: str, uid: int, gid: int, additional: tuple[int, ...], home: str
) -> None:
    expected = ResolvedUser(uid=uid, gid=gid, additional_gids=additional, home=home)
    assert resolve_user(rootfs, text) == expected


def test_an_image_without_files_has_root_and_numbers(tmp_path: Path) -> None:
    assert resolve_user(tmp_path, "") == ResolvedUser(uid=0, gid=0, home="/")
    (tmp_path / "root").mkdir()
    assert resolve_user(tmp_path, "").home == "/root"
    assert resolve_user(tmp_path, "12:34") == ResolvedUser(uid=12, gid=34)
    with pytest.raises(NoSuchUser, match="'web'"):
        resolve_user(tmp_path, "web")
    with pytest.raises(NoSuchGroup, match="'web'"):
        resolve_user(tmp_path, "0:web")


@pytest.mark.parametrize("text", ["a:b:c", "web:", "a\0b", "4294967295", "2147483648", "-1", "\u0661"])
def test_what_is_no_user_is_refused(rootfs: Path, text: str) -> None:
    with pytest.raises((BadUserName, NoSuchUser)):
        resolve_user(rootfs, text)


def test_links_are_followed_inside_the_image_only(rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("host")
    (outside / "passwd").write_text("web:x:0:0::/:/bin/sh\n")
    passwd = rootfs / "etc/passwd"
    passwd.unlink()
    for target in (
        outside / "passwd",
        Path("../" * 30 + str(outside) + "/passwd"),
        Path("/proc/self/root/etc/passwd"),
    ):
        passwd.symlink_to(target)
        with pytest.raises(NoSuchUser):
            resolve_user(rootfs, "web")
        passwd.unlink()
    (rootfs / "usr").mkdir()
    (rootfs / "usr/passwd").write_text(USERS)
    passwd.symlink_to("/usr/passwd")
    assert resolve_user(rootfs, "web").uid == 101


@pytest.mark.parametrize("kind", ["fifo", "directory", "loop", "long"])
def test_odd_files_neither_block_nor_break(rootfs: Path, kind: str) -> None:
    passwd = rootfs / "etc/passwd"
    passwd.unlink()
    if kind == "fifo":
        os.mkfifo(passwd)
    elif kind == "directory":
        passwd.mkdir()
    elif kind == "loop":
        passwd.symlink_to("passwd")
    else:
        with passwd.open("wb") as stream:
            stream.truncate(1 << 40)
    assert resolve_user(rootfs, "5").uid == 5


@given(passwd=st.binary(max_size=300), group=st.binary(max_size=300), text=st.text(max_size=20))
def test_hostile_files_give_a_user_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, passwd: bytes, group: bytes, text: str
) -> None:
    rootfs = tmp_path_factory.mktemp("hostile")
    (rootfs / "etc").mkdir()
    (rootfs / "etc/passwd").write_bytes(passwd)
    (rootfs / "etc/group").write_bytes(group)
    try:
        user = resolve_user(rootfs, text)
    except (BadUserName, NoSuchUser, NoSuchGroup):
        return
    assert 0 <= user.uid < 2**31
    assert user.home.startswith("/")
