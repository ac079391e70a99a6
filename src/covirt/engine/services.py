# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's parts, put together."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from covirt import __version__
from covirt.common.errors import Error, InvalidRequest
from covirt.common.files import make_directory
from covirt.common.metrics_server import MetricsServer
from covirt.common.root import Root
from covirt.engine.api.app import create_app
from covirt.engine.api.container_images import container_image_routes
from covirt.engine.api.own_password import own_password_route
from covirt.engine.api.secrets import secret_routes
from covirt.engine.api.services import ApiServices, ProductVersion
from covirt.engine.api.streams import stream_routes
from covirt.engine.auth.access import Access
from covirt.engine.auth.authenticator import Authenticator
from covirt.engine.auth.first_user import ensure_administrator
from covirt.engine.auth.login import Login
from covirt.engine.auth.passwords import Passwords
from covirt.engine.auth.seed import seed_access
from covirt.engine.auth.tokens import Tokens
from covirt.engine.commands.history.forgetting import forget_history
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.secrets.secrets import reseal
from covirt.engine.commands.services import CommandServices
from covirt.engine.commands.table import COMMANDS
from covirt.engine.config import AuthConfig, DatabaseConfig, EngineConfig
from covirt.engine.console.opening import Consoles
from covirt.engine.console.streams import Streams
from covirt.engine.console.tickets import StreamTickets
from covirt.engine.hosts.manager import HostManager
from covirt.engine.metrics import EngineMetrics
from covirt.engine.pki.names import own_names
from covirt.engine.pki.pki import Pki
from covirt.engine.server import CannotListen, EngineServer
from covirt.engine.storage.monitor import StorageMonitor
from covirt.engine.storage.preparation import StoragePreparation, StorageRelease
from covirt.engine.storage.transfer_watch import TransferWatch
from covirt.engine.store.figures import Figures
from covirt.engine.store.seed import seed
from covirt.engine.store.store import Store
from covirt.engine.vault.vault import KEYS_FILE, Vault
from covirt.engine.web.request_log import RequestLog
from covirt.engine.web.routes import web_routes
from covirt.engine.web.transfer_proxy import TransferProxy

log = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS: Final = 600.0
_STORAGE_SECONDS: Final = 30.0
_STREAMS_SECONDS: Final = 3.0
_TRANSFERS_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 30.0
_KEPT_TOKENS: Final = timedelta(days=1)  # after their time: until then hosts are told why they are refused


class UnreadablePassword(InvalidRequest):
    template = "the database's password cannot be read from {path}: {reason}"


class Engine:
    """Everything that runs, from start() to stop()."""

    def __init__(self, root: Root, config: EngineConfig) -> None:
        state = root.state_dir / "engine"
        make_directory(state.parent)
        make_directory(state, mode=0o700)
        names = own_names(config.server.names)
        self._name = names[0]
        self._pki = Pki(state / "pki", names=names)
        vault = Vault.open(root.state_dir / KEYS_FILE)
        self._store = Store.open(database_url(root, config.database))
        try:
            with self._store.write() as session:
                seed(session)
                seed_access(session)
                reseal(session, vault)
            passwords = Passwords()
            ensure_administrator(self._store, passwords, root.config_dir / "admin-password")
            self._tokens = _tokens(self._store, config.auth)
            login = Login(self._store, tokens=self._tokens, passwords=passwords)
            authenticator = Authenticator(self._store, login)
            shown = self._pki.client_context()
            self._hosts = HostManager(self._store, config.hosts, tls=shown)
            self._hosts.add_preparation(StoragePreparation(store=self._store, hosts=self._hosts))
            self._hosts.add_release(StorageRelease(store=self._store, hosts=self._hosts))
            self._commands = Commands(
                CommandServices(store=self._store, hosts=self._hosts, vault=vault),
                COMMANDS,
                database_url=database_url(root, config.database),
                waiters=max(1, config.server.threads * 3 // 4),
            )
            tickets = StreamTickets()
            consoles = Consoles(self._store, self._hosts, tickets)
            self._streams = Streams(self._store, tickets, consoles, login, tls=shown)
            metrics = EngineMetrics(figures=self._read_figures, streams=self._streams.counts)
            api = ApiServices(
                store=self._store,
                authenticator=authenticator,
                access=Access(self._store),
                commands=self._commands,
                hosts=self._hosts,
                consoles=consoles,
                version=ProductVersion(full=__version__),
                passwords=passwords,
                vault=vault,
                transfer_proxy=self._proxy_base,
            )
            own = [
                *container_image_routes(api),
                *secret_routes(api, vault),
                own_password_route(api, login),
                *stream_routes(api),
                self._streams.route(),
            ]
            web = web_routes(
                login=login, store=self._store, pki=self._pki, authenticator=authenticator, hosts=self._hosts
            )
            app = create_app(api, routes=[*web, *own])
            proxy = TransferProxy(self._store, tls=shown)
            proxy_config = replace(config.server, port=config.transfers.proxy_port)
            self._proxy = EngineServer(
                proxy.app, proxy_config, self._pki.server_context(), name="engine-transfers", long_bodies=True
            )
            self._server = EngineServer(RequestLog(app, metrics), config.server, self._pki.server_context())
            self._metrics = MetricsServer(config.metrics.listen, metrics.page, name="covirt-engine")
            self._housekeeping = Housekeeping(
                (
                    self._pki.renew_when_due,
                    self._remove_dead_sessions,
                    self._remove_dead_tokens,
                    partial(forget_history, self._store, self._commands, config.history),
                )
            )
            storage = StorageMonitor(self._store, self._hosts)
            self._storage = Housekeeping((storage.look,), name="engine-storage", every_seconds=_STORAGE_SECONDS)
            transfers = TransferWatch(self._store, self._hosts, self._commands)
            self._transfers = Housekeeping(
                (transfers.look,), name="engine-transfers", every_seconds=_TRANSFERS_SECONDS
            )
            self._watchers = Housekeeping(
                (self._streams.check,), name="engine-streams", every_seconds=_STREAMS_SECONDS
            )
        except BaseException:
            self._store.close()
            raise

    @property
    def port(self) -> int:
        """Where clients are served, after start()."""
        return self._server.port

    def start(self) -> None:
        """Raises CannotListen, ServerNotStarted."""
        self._metrics.start()
        self._hosts.start()
        self._commands.start()
        self._housekeeping.start()
        self._storage.start()
        self._transfers.start()
        self._watchers.start()
        self._server.start()
        self._start_proxy()

    def stop(self) -> None:
        """Also after a start() that has failed."""
        self._streams.stop()
        self._proxy.stop()
        self._server.stop()
        self._housekeeping.stop()
        self._storage.stop()
        self._transfers.stop()
        self._watchers.stop()
        self._commands.stop()
        self._hosts.stop()
        self._metrics.stop()
        self._store.close()

    def _start_proxy(self) -> None:
        """Without it clients send disks to hosts themselves, as most do."""
        try:
            self._proxy.start()
        except CannotListen as error:
            log.warning("There is no proxy for image transfers ([transfers] proxy_port) reason=%s", error)

    def _proxy_base(self) -> str:
        return f"https://{self._name}:{self._proxy.port}" if self._proxy.is_listening else ""

    def _read_figures(self) -> Figures:
        with self._store.read() as session:
            return session.figures()

    def _remove_dead_sessions(self) -> None:
        removed = self._tokens.remove_dead(now=datetime.now(UTC))
        if removed:
            log.debug("Removed sessions that are over count=%d", removed)

    def _remove_dead_tokens(self) -> None:
        with self._store.write() as session:
            session.enrolments.remove_expired(before=datetime.now(UTC) - _KEPT_TOKENS)


class Housekeeping:
    """What has to be looked at now and then, in one thread."""

    def __init__(
        self,
        jobs: tuple[Callable[[], object], ...],
        *,
        name: str = "engine-housekeeping",
        every_seconds: float = _HOUSEKEEPING_SECONDS,
    ) -> None:
        self._jobs = jobs
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            for job in self._jobs:
                try:
                    job()
                except Error as error:
                    log.warning("Housekeeping will be tried again reason=%s", error)
                except Exception:  # the top of a thread: there is a next time
                    log.exception("Housekeeping failed")


def database_url(root: Root, config: DatabaseConfig) -> str:
    """With the password: a secret. Raises UnreadablePassword."""
    if not config.url:
        return f"sqlite:///{root.state_dir / 'engine/engine.db'}"
    if not config.password_file:
        return config.url
    path = root.path / Path(config.password_file)
    try:
        password = path.read_text().strip()
    except OSError as error:
        raise UnreadablePassword(path=path, reason=error.strerror) from error
    parts = urlsplit(config.url)
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}"))


def _tokens(store: Store, config: AuthConfig) -> Tokens:
    return Tokens(store, lifetime=timedelta(hours=config.session_hours), idle=timedelta(minutes=config.idle_minutes))
