# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-engine's configuration; the comments are its manual.

``/usr/lib/covirt/engine.d/*.toml`` and ``/etc/covirt/engine.d/*.toml`` below the root, see common.config.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from covirt.common.config import Between, load_config, setting
from covirt.common.listening import check_address
from covirt.common.log import check_level
from covirt.common.metrics_server import check_listen
from covirt.common.root import Root
from covirt.engine.hosts.config import HostsConfig


def _check_url(url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in ("sqlite", "postgresql"):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    if parts.password is not None or "password" in parts.query:
        raise ValueError("holds a password; write it to a file that only the engine can read, and name that file")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where clients reach the engine, over HTTPS only."""

    # The address to listen on; "::" is every address of both families.
    listen: str = setting("::", check=check_address)
    # What oVirt's clients expect. 0 takes any free one, which the log then tells.
    port: int = setting(443, check=Between(0, 65535))
    # Names and addresses that clients use, beside those the machine knows of itself. They are in the certificate.
    names: tuple[str, ...] = ()
    # How many requests are worked on at the same time; more of them wait.
    threads: int = setting(40, check=Between(4, 1000))
    # How many clients may be connected; more of them get status 503.
    connections: int = setting(1000, check=Between(10, 100_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """Where the engine keeps everything."""

    # As in postgresql://covirt@db.example.com/covirt; empty: SQLite, in the state directory.
    # Without a password, which the file below holds.
    url: str = setting("", check=_check_url)
    # A file with the password of the URL's user, absolute or below the root. Empty: PostgreSQL's own ways (peer,
    # ~/.pgpass).
    password_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """How long a login lasts."""

    # A token that nobody has used for so long counts no more.
    idle_minutes: int = setting(30, check=Between(1, 43_200))
    # And none counts for longer than this, however much it is used.
    session_hours: int = setting(24, check=Between(1, 720))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Figures for Prometheus."""

    # ADDRESS:PORT or the path of a unix socket; empty: none. Anybody who can connect can read.
    listen: str = setting("", check=check_listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransfersConfig:
    """Uploads and downloads of disks by clients who do not reach hosts."""

    # What oVirt's clients expect. 0 takes any free one: clients are told which. Without it there is no proxy.
    proxy_port: int = setting(54323, check=Between(0, 65535))


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryConfig:
    """What is over is forgotten after a while, lest the database grow for ever."""

    # How long events are kept; oVirt keeps them as long.
    event_days: int = setting(30, check=Between(1, 36_500))
    # How long jobs that have ended are kept, with their steps and with what their operations were asked.
    job_days: int = setting(7, check=Between(1, 36_500))


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """All of it."""

    # How much is told: "debug", "info", "warning" or "error".
    log_level: str = setting("info", check=check_level)
    server: ServerConfig = field(default_factory=ServerConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    hosts: HostsConfig = field(default_factory=HostsConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    transfers: TransfersConfig = field(default_factory=TransfersConfig)
    history: HistoryConfig = field(default_factory=HistoryConfig)


def load_engine_config(root: Root) -> EngineConfig:
    """Raises UnknownConfigKey, BadConfigValue, BrokenConfigFile."""
    return load_config(EngineConfig, (root.vendor_config_dir / "engine.d", root.config_dir / "engine.d"))
