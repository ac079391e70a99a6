# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a container's tar sends is a stranger's archive."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from covirt.cli import copying
from covirt.cli.copying import split_place
from covirt.cli.errors import NotCopied


def entry(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode, member.uid = kind, link, mode, 0
    member.size = 1 if kind == tarfile.REGTYPE else 0
    return member


def archive(*members: tarfile.TarInfo) -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    data.seek(0)
    return data


@pytest.fixture(name="unpack")
def unpack_fixture(tmp_path: Path) -> Callable[..., None]:
    def unpack(*members: tarfile.TarInfo) -> None:
        copying._unpack(archive(*members), "site", tmp_path / "in/out", "web:/site")

    (tmp_path / "in").mkdir()
    return unpack


def test_files_get_the_new_name(unpack: Callable[..., None], tmp_path: Path) -> None:
    site, page = entry("site", tarfile.DIRTYPE, mode=0o777), entry("site/page", mode=0o6777)
    unpack(site, page, entry("site/link", tarfile.SYMTYPE, link="page"))
    assert (tmp_path / "in/out/link").read_text() == "x"
    assert (tmp_path / "in/out/page").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "members",
    [
        (entry("../evil"),),
        (entry("/evil"),),
        (entry("site", tarfile.SYMTYPE, link="/etc"),),
        (entry("site", tarfile.SYMTYPE, link="../.."),),
        (entry("site", tarfile.DIRTYPE), entry("site/up", tarfile.SYMTYPE, link=".."), entry("site/up/../evil")),
        (entry("site/null", tarfile.CHRTYPE),),
        (entry("site/pipe", tarfile.FIFOTYPE),),
        (entry("site/hard", tarfile.LNKTYPE, link="../evil"),),
    ],
)
def test_what_leads_elsewhere_is_refused(
    unpack: Callable[..., None], tmp_path: Path, members: tuple[tarfile.TarInfo, ...]
) -> None:
    (tmp_path / "evil").write_text("mine")
    with pytest.raises(NotCopied):
        unpack(*members)
    assert (tmp_path / "evil").read_text() == "mine"


def test_places() -> None:
    assert split_place("web:/etc/motd") == ("web", "/etc/motd")
    assert split_place("./a:b") == ("", "./a:b")
    assert split_place("file") == ("", "file")
