# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the agent, put together: what starts in which order, and what each is given."""

from collections.abc import Iterable

from covirt.common.root import Root
from covirt.host.config import HostConfig
from covirt.host.enrolment.enrol import Renewal
from covirt.host.enrolment.identity import Identity
from covirt.host.events import Events
from covirt.host.guests import Guests
from covirt.host.metrics import MetricSource
from covirt.host.network.networks import Networks
from covirt.host.rpc_service import DispatchedCalls
from covirt.host.services import FactSource, Part
from covirt.host.stats.capabilities import Capabilities
from covirt.host.stats.statistics import Statistics
from covirt.host.storage.images import Images
from covirt.host.storage.storage import Storage
from covirt.host.storage.storage_metrics import StorageMetrics
from covirt.host.verbs.dispatch import Dispatcher, VerbClass
from covirt.host.verbs.faults import described
from covirt.host.verbs.host import HostVerbs
from covirt.host.verbs.images import image_verb_classes
from covirt.host.verbs.merge import MergeVerbs
from covirt.host.verbs.network import NetworkVerbs
from covirt.host.verbs.storage_domain import StorageDomainVerbs
from covirt.host.verbs.storage_pool import StoragePoolVerbs
from covirt.host.verbs.stream import StreamVerbs
from covirt.host.verbs.vm_snapshots import SnapshotVerbs
from covirt.host.verbs.volume import VolumeVerbs
from covirt.host.virt.live_snapshots import LiveSnapshots
from covirt.host.virt.vm_metrics import VmMetrics
from covirt.hostapi.table import VERBS
from covirt.hostapi.vm import ENDED_EXTENSION, SECRETS_EXTENSION
from covirt.rpc.server import RpcServer
from covirt.rpc.streams import STREAM_PREFIX, TicketStreams
from covirt.rpc.tls import TlsFiles, load_identity, server_context


class Agent:
    """Built whole before anything starts, so that a bad setting costs nothing."""

    def __init__(self, root: Root, config: HostConfig) -> None:
        self.events = Events()
        pki = root.path / config.rpc.pki_dir
        identity = Identity(root, pki)
        identity.finish()
        identity.require()
        tls = TlsFiles.in_directory(pki)
        context = server_context(tls)
        self.renewal = Renewal(root, pki, on_renewed=lambda: load_identity(context, tls))
        self.images = Images.new(
            root=root,
            config=config.images,
            events=self.events,
            describe=described,
            tls=tls,
        )
        self.storage = Storage(
            root=root, config=config.storage, describe=described, transfer_port=config.images.imageio_port
        )
        self.storage.add_work(self.images.tasks, self.images.jobs)
        self.storage.add_health_listener(self.images.on_storage_health)
        self.networks = Networks(root, config.network)
        self.streams = TicketStreams()
        self.guests = Guests(
            root=root, config=config, events=self.events, volumes=self.storage.volumes, merging=self.storage.merging
        )
        self.storage.add_health_listener(self.guests.part.storage_loss.domain_health)
        sources: tuple[FactSource, ...] = (self.networks, self.storage, *self.guests.sources)
        self.statistics = Statistics(sources)
        self.capabilities = Capabilities(sources, extensions=self._extensions)
        self.parts: tuple[Part, ...] = (
            self.networks,
            self.statistics,
            self.storage,
            self.images,
            self.guests,
            self.renewal,
        )
        self._started: list[Part] = []
        self.metric_sources: tuple[MetricSource, ...] = (
            self.images,
            StorageMetrics(self.storage.monitor),
            VmMetrics(self.guests.vms),
        )
        self.dispatcher = Dispatcher(self._verbs(root, config))
        self.server = RpcServer(
            DispatchedCalls(self.dispatcher),
            tls=context,
            listen=config.rpc.listen,
            port=config.rpc.port,
            protocols={STREAM_PREFIX: self.streams},
        )

    def start(self) -> None:
        """Answers from the first moment: that it recovers, until it has."""
        self.server.start()
        self.events.join(self.server.publish)
        for part in self.parts:
            self._started.append(part)
            part.start()
        self.dispatcher.set_ready()

    def stop(self) -> None:
        """Guests go on. What was not started is fine."""
        self.events.join(None)
        self.server.stop()
        self.streams.stop()
        while self._started:
            self._started.pop().stop()

    def _verbs(self, root: Root, config: HostConfig) -> Iterable[VerbClass]:
        return (
            HostVerbs(self.capabilities, self.statistics, confirm=self.networks.confirm),
            NetworkVerbs(self.networks),
            StoragePoolVerbs(storage=self.storage, tasks=self.images.tasks),
            StorageDomainVerbs(self.storage),
            VolumeVerbs(storage=self.storage, tasks=self.images.tasks),
            MergeVerbs(storage=self.storage, tasks=self.images.tasks, jobs=self.images.jobs),
            *image_verb_classes(
                self.images,
                root=root,
                config=config.images,
                volumes=self.storage.volumes,
                require_manager=self.storage.pools.require_manager,
                require_managed=self.storage.pools.require_managed_domain,
            ),
            *self.guests.verbs(),
            SnapshotVerbs(
                self.guests.vms,
                LiveSnapshots(hotplug=self.guests.part.hotplug),
                self.guests.part.merges,
                self.images.jobs,
            ),
            StreamVerbs(self.guests.vms, self.streams),
        )

    def _extensions(self) -> list[str]:
        """Of the verbs that are answered here, and what VM.create takes besides."""
        verbs = {verb.extension for name in self.dispatcher.names if (verb := VERBS[name]).extension}
        return sorted(verbs | {ENDED_EXTENSION, SECRETS_EXTENSION})
