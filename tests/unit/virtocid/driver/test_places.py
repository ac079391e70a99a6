# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Places on the host that a definition may name: directories to show, and files for the console log."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from covirt.common.files import make_directory
from covirt.common.root import Root
from covirt.virtocid.config import VirtocidConfig
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.errors import DirectoryNotAllowed, LogNotAllowed
from covirt.virtocid.driver.services import DirectoryReadOnly, LogRedirectable, Services
from tests.support.fake_services import fake_config, fake_services
from tests.support.virtocid import domain_xml


def _services(root: Root, *allowed: str) -> Services:
    config: VirtocidConfig = fake_config(root)
    services = fake_services(root, replace(config, container=replace(config.container, allowed_directories=allowed)))
    services.watcher.stop()
    return services


@pytest.mark.parametrize(
    ("allowed", "source", "readonly", "refusal"),
    [
        (("srv",), "srv/shop", True, None),
        (("srv",), "srv/shop", False, DirectoryReadOnly),
        (("srv:rw",), "srv/shop", False, None),
        (("srv:rw",), "srv/shop", True, None),
        (("srv", "srv/shop:rw"), "srv/shop/data", False, None),
        (("srv", "srv/shop:rw"), "srv/other", False, DirectoryReadOnly),
        (("srv:rw",), "other", True, DirectoryNotAllowed),
        ((), "srv", True, DirectoryNotAllowed),
    ],
)
def test_a_directory_is_writable_only_where_the_configuration_says_so(
    root_dir: Root, allowed: tuple[str, ...], source: str, readonly: bool, refusal: type[Exception] | None
) -> None:
    services = _services(root_dir, *(f"{root_dir.path}/{each}" for each in allowed))
    said = "<readonly/>" if readonly else ""
    config = parse_domain(
        domain_xml(
            "web",
            devices=f"<filesystem type='mount'><source dir='{root_dir.path}/{source}'/>"
            f"<target dir='/data'/>{said}</filesystem>",
        )
    )
    if refusal is None:
        (volume,) = services.volumes(config)
        assert (volume.source, volume.read_only) == (root_dir.path / source, readonly)
    else:
        with pytest.raises(refusal, match=str(root_dir.path / source)):
            services.volumes(config)


def _log(services: Services, path: Path) -> Path:
    config = parse_domain(domain_xml("web", devices=f"<console type='pty'><log file='{path}'/></console>"))
    return services.console_log(UUID(int=1), config, persistent=True)


def test_a_console_log_lies_where_only_root_can_put_links(root_dir: Root) -> None:
    services, logs = _services(root_dir), root_dir.path / "var/log"
    assert _log(services, logs / "new/web.log") == logs / "new/web.log"
    make_directory(logs / "own/deep")
    assert _log(services, logs / "own/deep/web.log") == logs / "own/deep/web.log"
    for mode in (0o775, 0o1777):
        (logs / "own").chmod(mode)
        with pytest.raises(LogRedirectable, match=f"{logs}/own"):
            _log(services, logs / "own/deep/web.log")
    (logs / "own").chmod(0o755)
    (logs / "link").symlink_to("/etc")
    with pytest.raises(LogNotAllowed):
        _log(services, logs / "link/web.log")
