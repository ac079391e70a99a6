# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks, jobs and transfers of one host, made and started together."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from covirt.common.root import Root
from covirt.host.events import Events
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.imageio import ImageioDaemon
from covirt.host.storage.jobs import Jobs, job_info, job_status, job_topic
from covirt.host.storage.nbd import NbdServers
from covirt.host.storage.operations import Describe, Operations
from covirt.host.storage.tasks import Tasks, task_state
from covirt.host.storage.transfers import TicketSweeper, Transfers
from covirt.rpc.tls import TlsFiles

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_PLACE: Final = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The parts. Kinds of tasks and jobs are added by who knows them, before start().

    ``at_start``: what others do first then.
    """

    tasks: Tasks
    jobs: Jobs
    servers: NbdServers
    transfers: Transfers
    sweeper: TicketSweeper
    at_start: list[Callable[[], object]] = field(default_factory=list)

    @classmethod
    def new(
        cls, *, root: Root, config: ImagesConfig, events: Events, describe: Describe, tls: TlsFiles | None
    ) -> Self:
        """``describe`` gives the code and the message of an error."""
        state, runtime = root.state_dir / _PLACE, root.run_dir / _PLACE
        tasks = Operations(name="tasks", directory=state / "tasks", describe=describe, workers=config.workers)
        jobs = Operations(
            name="jobs",
            directory=state / "jobs",
            describe=describe,
            workers=config.workers,
            keep_seconds=config.job_keep_seconds,
            on_end=lambda record: events.publish(job_topic(record.id), job_info(record, jobs.progress_of(record.id))),
        )
        servers, daemon = _programs(root, config, tls)
        transfers = Transfers(root=root, directory=runtime / "imageio", daemon=daemon, servers=servers)
        return cls(
            tasks=Tasks(tasks),
            jobs=Jobs(jobs),
            servers=servers,
            transfers=transfers,
            sweeper=TicketSweeper(transfers),
        )

    def start(self) -> None:
        for step in self.at_start:
            step()
        self.transfers.start()
        self.sweeper.start()
        self.tasks.start()
        self.jobs.start()

    def stop(self) -> None:
        self.jobs.stop()
        self.tasks.stop()
        self.sweeper.stop()
        self.transfers.stop()

    def metrics(self) -> "Iterable[Metric]":
        """How much long work there is, by its state, and how many tickets are good."""
        from prometheus_client.core import GaugeMetricFamily

        books = (("tasks", self.tasks.list(), task_state), ("jobs", self.jobs.list(), job_status))
        for name, records, state_of in books:
            family = GaugeMetricFamily(f"covirt_host_{name}", f"{name.capitalize()} by their state", labels=["state"])
            for state, count in sorted(Counter(map(state_of, records)).items()):
                family.add_metric([state], count)
            yield family
        yield GaugeMetricFamily("covirt_host_tickets", "Tickets for transfers", value=self.transfers.count)

    def on_storage_health(self, _domain_id: str, well: bool) -> None:  # noqa: FBT001 - a listener's form
        """A storage domain is here, again or for the first time: what waited for it goes on."""
        if well:
            self.resume()

    def resume(self) -> None:
        self.tasks.resume()
        self.jobs.resume()


def end_transfers(root: Root, config: ImagesConfig) -> None:
    """End what moves disks and has outlived the agent, which must not run: the imageio daemon and all NBD servers."""
    servers, daemon = _programs(root, config, None)
    daemon.end()
    servers.stop_all()


def _programs(root: Root, config: ImagesConfig, tls: TlsFiles | None) -> tuple[NbdServers, ImageioDaemon]:
    runtime = root.run_dir / _PLACE
    return NbdServers(runtime / "nbd"), ImageioDaemon(directory=runtime / "imageio", config=config, tls=tls)
