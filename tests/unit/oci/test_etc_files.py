# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The files that every container gets in /etc."""

from pathlib import Path

from covirt.oci.etc_files import (
    hosts_text,
    resolv_conf_text,
    update_etc_file,
    usable_nameservers,
    write_etc_files,
)


def test_nameservers_on_the_hosts_loopback_are_of_no_use_inside() -> None:
    lines = ["# comment", "nameserver 127.0.0.53", "nameserver ::1", "nameserver 192.0.2.1", "nameserver"]
    text = "\n".join([*lines, "nameserver fe80::1%eth0", "nameserver x", "search a b", ""])
    assert usable_nameservers(text) == ("192.0.2.1", "fe80::1%eth0")
    assert usable_nameservers(resolv_conf_text(("192.0.2.1",), ("example.org",), ("ndots:1",))) == ("192.0.2.1",)
    assert resolv_conf_text(()) == ""


def test_the_own_name_resolves_with_and_without_addresses() -> None:
    assert hosts_text("web.example.org", ("192.0.2.7/24",)).splitlines()[-1] == "192.0.2.7 web.example.org web"
    last = hosts_text("web", ()).splitlines()[-1]
    assert last.split() == ["127.0.1.1", "web"]


def test_a_rewritten_file_is_still_the_mounted_one(tmp_path: Path) -> None:
    (mount,) = write_etc_files(tmp_path, {"resolv.conf": "nameserver 192.0.2.1\n"})
    assert mount.destination == "/etc/resolv.conf"
    assert "ro" in mount.options
    with Path(mount.source).open() as seen_by_the_container:
        update_etc_file(tmp_path, "resolv.conf", "nameserver 192.0.2.2\n")
        assert seen_by_the_container.read() == "nameserver 192.0.2.2\n"
