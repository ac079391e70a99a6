# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Host-side names: whatever one domain's start and clean-up do, the network of everybody else stays as it is."""

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID, uuid4

import pytest

from covirt.common.process import run as run_program
from covirt.common.root import Root
from covirt.oci.isolation_errors import InterfaceNameTaken
from covirt.oci.namespaces import make_namespaces, remove_namespaces
from covirt.oci.spoof_filter import SpoofFilter
from covirt.virtocid.driver.domain_xml.complete import complete_definition
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.filter_watch import FilterWatch
from covirt.virtocid.driver.network import HostNameInUse, Network, require_own_names
from covirt.virtocid.driver.run import Run
from tests.integration.oci.boxes import IDMAP
from tests.integration.oci.netns import ip_json
from tests.support.network import LinuxBridge
from tests.support.roots import new_directory
from tests.support.virtocid import bridge_device, domain_xml
from tests.support.waiting import wait_until


class Host:
    """Roots whose networks meet on one bridge."""

    def __init__(self, stack: ExitStack, bridge: LinuxBridge) -> None:
        self._stack = stack
        self._bridge = bridge

    def network(self) -> tuple[Root, Network]:
        root = Root(self._stack.enter_context(new_directory()))
        self._stack.callback(SpoofFilter(root.id).remove_table)
        return root, Network(root, allowed_bridges=())

    def run(self, root: Root, name: str, target: str, *, uuid: UUID | None = None) -> Run:
        """A run with one interface whose host-side name is wanted, before complete()."""
        more = f"<target dev='{target}'/>"
        config = parse_domain(domain_xml(name, devices=bridge_device(self._bridge.name, more=more)))
        config = complete_definition(config, macs_in_use=set(), generated_name_prefix=root.id)
        directory = root.path / name
        run = Run(
            uuid=uuid or uuid4(), boot_id="this", domain_id=1, run_number=1, runtime="runc", config=config, xml="",
            first_id=0, persistent=True, bridges=(self._bridge.name,), directory=directory,
            log=directory / "log", cgroup_path="", image_path="", started_at=0.0,
        )  # fmt: skip
        namespaces = run.network_namespace.parent
        namespaces.parent.mkdir(parents=True)
        make_namespaces(IDMAP, namespaces)
        self._stack.callback(remove_namespaces, namespaces)
        return run


@pytest.fixture
def host(linux_bridge: LinuxBridge) -> Iterator[Host]:
    with ExitStack() as stack:
        yield Host(stack, linux_bridge)


def _filtered(root: Root) -> bytes:
    argv = ["nft", "list", "set", "bridge", f"covirt-{root.id}", "macs"]
    return run_program(argv, timeout_seconds=10, check=False).stdout


def _links() -> set[str]:
    return {link["ifname"] for link in ip_json("link")}


def _plug(network: Network, run: Run) -> None:
    network.complete(run.config, owner=run.container_id)
    network.plug(run, 0)


def test_a_start_that_is_refused_takes_nothing_away_from_the_name_s_owner(host: Host) -> None:
    root, network = host.network()
    first, second = host.run(root, "first", "vtest0"), host.run(root, "second", "vtest0")
    _plug(network, first)
    before = _filtered(root)
    assert b"vtest0" in before
    with pytest.raises(HostNameInUse, match=f"'vtest0'.*{first.uuid}"):
        network.complete(second.config, owner=second.container_id)
    with pytest.raises(InterfaceNameTaken):
        network.plug(second, 0)
    network.unplug(second, 0)
    network.release(second.container_id)
    assert _filtered(root) == before
    assert "vtest0" in _links()
    with pytest.raises(HostNameInUse):
        network.complete(second.config, owner=second.container_id)
    network.unplug(first, 0)
    assert "vtest0" not in _links()
    assert b"vtest0" not in _filtered(root)
    network.release(first.container_id)
    _plug(network, second)
    network.unplug(second, 0)


def test_an_interface_of_another_root_is_neither_filtered_nor_removed(host: Host) -> None:
    (root, network), (other_root, other) = host.network(), host.network()
    uuid = uuid4()
    ours, theirs = host.run(root, "web", "vtest0", uuid=uuid), host.run(other_root, "web", "vtest0", uuid=uuid)
    _plug(other, theirs)
    with pytest.raises(InterfaceNameTaken, match="vtest0"):
        network.complete(ours.config, owner=ours.container_id)
    with pytest.raises(InterfaceNameTaken):
        network.plug(ours, 0)
    network.unplug(ours, 0)
    assert "vtest0" in _links()
    assert b"vtest0" in _filtered(other_root)
    assert b"vtest0" not in _filtered(root)
    other.unplug(theirs, 0)


def test_a_name_that_the_host_uses_is_refused_before_it_is_filtered(host: Host) -> None:
    root, network = host.network()
    run = host.run(root, "web", "other0")
    run_program(["ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1"], timeout_seconds=10)
    try:
        with pytest.raises(InterfaceNameTaken, match="other0"):
            network.complete(run.config, owner=run.container_id)
        network.unplug(run, 0)
        assert "other0" in _links()
    finally:
        run_program(["ip", "link", "delete", "other0"], timeout_seconds=10)
    network.complete(run.config, owner=run.container_id)


def test_a_flushed_filter_comes_back_by_itself(host: Host) -> None:
    root, network = host.network()
    run = host.run(root, "web", "vtest0")
    _plug(network, run)
    watch = FilterWatch(network, check_seconds=0.05)
    watch.start()
    try:
        run_program(["nft", "flush", "ruleset"], timeout_seconds=10)
        wait_until(lambda: b"vtest0" in _filtered(root), what="the spoof filter")
    finally:
        watch.stop()
    network.unplug(run, 0)


def test_a_definition_cannot_have_the_name_of_another_one() -> None:
    first, second = _config("first", "vtest0", "vtest1"), _config("second", "vtest1")
    require_own_names(first, ())
    require_own_names(first, (first,))
    require_own_names(_config("third"), (first, second, _config("fourth")))
    with pytest.raises(HostNameInUse, match=r"'vtest1'.*first"):
        require_own_names(second, (first,))


def _config(name: str, *targets: str) -> DomainConfig:
    devices = "".join(bridge_device("br0", more=f"<target dev='{target}'/>") for target in targets)
    config = parse_domain(domain_xml(name, devices=devices))
    return complete_definition(config, macs_in_use=set(), generated_name_prefix="abcdef")
