# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The stock Python SDK changes what no host is asked about, as its own examples do, on both databases."""

from collections.abc import Callable, Iterator

import httpx2
import ovirtsdk4 as sdk
import pytest
from ovirtsdk4 import types

from covirt.engine.store.store import Store
from tests.support import engine_samples as s
from tests.support.engine_api import api_app, serve_api
from tests.support.engine_changing import install


@pytest.fixture
def changed_url(store: Store) -> Iterator[str]:
    """Of an installation that the test may change."""
    install(store)
    with serve_api(api_app(store)) as url:
        yield url


@pytest.fixture
def system(changed_url: str) -> Iterator[Callable[..., sdk.services.SystemService]]:
    connection = sdk.Connection(url=changed_url, token="admin", timeout=30)  # noqa: S106 - stands for a login
    yield connection.system_service()
    connection.close(logout=False)


def test_places_and_networks(system: sdk.services.SystemService) -> None:
    centers, clusters = system.data_centers_service(), system.clusters_service()
    version = types.Version(major=4, minor=8)
    center = centers.add(types.DataCenter(name="mydc", description="My data center", local=False, version=version))
    cpu = types.Cpu(architecture=types.Architecture.X86_64, type="Intel Nehalem Family")
    cluster = clusters.add(types.Cluster(name="mycluster", cpu=cpu, data_center=types.DataCenter(name="mydc")))
    assert cluster.cpu.type == "Intel Nehalem Family"
    assert cluster.fencing_policy.skip_if_sd_active.enabled is False
    networks = system.networks_service()
    network = networks.add(
        types.Network(
            name="mynetwork",
            data_center=types.DataCenter(name="mydc"),
            vlan=types.Vlan(id="200"),
            usages=[types.NetworkUsage.VM],
            mtu=1500,
        )
    )
    of_cluster = clusters.cluster_service(cluster.id).networks_service()
    of_cluster.add(types.Network(id=network.id, required=True))
    used = of_cluster.network_service(network.id)
    assert used.update(types.Network(required=False, usages=[types.NetworkUsage.MIGRATION])).required is False
    profiles = system.vnic_profiles_service()
    (profile,) = [each for each in profiles.list() if each.network.id == network.id]
    profiles.profile_service(profile.id).update(types.VnicProfile(network_filter=types.NetworkFilter()))
    assert profiles.profile_service(profile.id).get().network_filter is None
    pool = system.mac_pools_service().add(
        types.MacPool(name="mymacpool", ranges=[types.Range(from_="02:00:00:00:00:00", to="02:00:00:01:00:00")])
    )
    clusters.cluster_service(cluster.id).update(types.Cluster(mac_pool=types.MacPool(id=pool.id)))
    features = clusters.cluster_service(cluster.id).enabled_features_service()
    (feature,) = system.cluster_levels_service().level_service("4.8").cluster_features_service().list()[:1]
    features.add(types.ClusterFeature(id=feature.id))
    assert [each.id for each in features.list()] == [feature.id]
    features.feature_service(feature.id).remove()
    used.remove()
    networks.network_service(network.id).remove()
    with pytest.raises(sdk.Error, match="contains Clusters: mycluster") as refused:
        centers.data_center_service(center.id).remove()
    assert refused.value.code == 409
    clusters.cluster_service(cluster.id).remove()
    system.mac_pools_service().mac_pool_service(pool.id).remove()
    centers.data_center_service(center.id).remove()
    with pytest.raises(sdk.NotFoundError):
        centers.data_center_service(center.id).get()


def test_tags_labels_and_groups(system: sdk.services.SystemService) -> None:
    tags = system.tags_service()
    tag = tags.add(types.Tag(name="mytag", description="My tag"))
    of_vm = system.vms_service().vm_service(s.VM_ID).tags_service()
    of_vm.add(types.Tag(name="mytag"))
    assert [vm.name for vm in system.vms_service().list(search="tag=mytag")] == ["soup"]
    of_vm.tag_service(tag.id).remove()
    tags.tag_service(tag.id).update(types.Tag(name="yourtag"))
    tags.tag_service(tag.id).remove()
    labels = system.affinity_labels_service()
    label = labels.add(types.AffinityLabel(name="my_affinity_label"))
    labels.label_service(label.id).vms_service().add(types.Vm(id=s.VM_ID))
    of_machine = system.vms_service().vm_service(s.VM_ID).affinity_labels_service()
    assert label.id in [each.id for each in of_machine.list()]
    of_machine.label_service(label.id).remove()
    labels.label_service(label.id).remove()
    groups = system.clusters_service().cluster_service(s.CLUSTER_ID).affinity_groups_service()
    rule = types.AffinityRule(enabled=True, positive=False, enforcing=True)
    group = groups.add(types.AffinityGroup(name="my_affinity_group", vms_rule=rule, vms=[types.Vm(id=s.VM_ID)]))
    assert ([vm.id for vm in group.vms], group.vms_rule.positive) == ([s.VM_ID], False)
    machines = groups.group_service(group.id).vms_service()
    machines.add(types.Vm(id=s.CONTAINER_ID))
    machines.vm_service(s.VM_ID).remove()
    assert [vm.id for vm in machines.list()] == [s.CONTAINER_ID]
    groups.group_service(group.id).remove()


def test_who_may_do_what(system: sdk.services.SystemService, changed_url: str) -> None:
    users, roles = system.users_service(), system.roles_service()
    user = users.add(types.User(user_name="ann@internal-authz", domain=types.Domain(name="internal-authz")))
    permits = [types.Permit(id="1"), types.Permit(name="run_vm")]
    role = roles.add(types.Role(name="myrole", administrative=False, permits=permits))
    assert {each.name for each in roles.role_service(role.id).permits_service().list()} == {
        "create_vm",
        "login",
        "run_vm",
    }
    permissions = system.vms_service().vm_service(s.VM_ID).permissions_service()
    given = permissions.add(types.Permission(user=types.User(id=user.id), role=types.Role(name="UserVmManager")))
    assert user.id in [each.user.id for each in permissions.list()]
    permissions.permission_service(given.id).remove()
    whole = system.permissions_service()
    given = whole.add(types.Permission(user=types.User(id=user.id), role=types.Role(id=role.id)))
    with pytest.raises(sdk.Error) as refused:
        roles.role_service(role.id).remove()
    assert refused.value.code == 409
    whole.permission_service(given.id).remove()
    roles.role_service(role.id).remove()
    users.user_service(user.id).remove()
    cook = sdk.Connection(url=changed_url, token="user", headers={"Filter": "true"})  # noqa: S106 - the same
    with pytest.raises(sdk.AuthError):
        cook.system_service().tags_service().add(types.Tag(name="sweet"))
    cook.close(logout=False)


def test_events_and_jobs(system: sdk.services.SystemService) -> None:
    event = system.events_service().add(
        types.Event(
            vm=types.Vm(id=s.VM_ID),
            origin="mybackup",
            severity=types.LogSeverity.ERROR,
            custom_id=123,
            description="Backup of virtual machine 'soup' has started.",
        )
    )
    assert system.events_service().list(search="origin=mybackup or vm.name=soup", max=1)[0].id == event.id
    system.events_service().event_service(event.id).remove()
    jobs = system.jobs_service()
    job = jobs.add(types.Job(description="Doing some work", auto_cleared=True))
    steps = jobs.job_service(job.id).steps_service()
    step = steps.add(types.Step(description="Measuring", type=types.StepEnum.EXECUTING))
    steps.step_service(step.id).end(succeeded=True)
    jobs.job_service(job.id).end(succeeded=True)
    jobs.job_service(job.id).clear()
    assert jobs.job_service(job.id).get().status is types.JobStatus.FINISHED


def test_a_network_in_ovirts_own_words(changed_url: str) -> None:
    """Without the SDK, which reads what it writes."""
    headers = {"Authorization": "Bearer admin", "Content-Type": "application/xml", "Accept": "application/xml"}
    with httpx2.Client(headers=headers) as client:
        body = (
            "<network><name>mynetwork</name><description>My &lt;network&gt;</description>"
            "<data_center><name>kitchens</name></data_center><vlan id='200'/>"
            "<usages><usage>vm</usage></usages><mtu>1500</mtu></network>"
        )
        made = client.post(f"{changed_url}/networks", content=body)
        assert (made.status_code, made.headers["content-type"]) == (201, "application/xml;charset=UTF-8")
        path = made.headers["location"].removeprefix("/ovirt-engine/api")
        assert f'href="/ovirt-engine/api{path}"' in made.text
        for words in ("<name>mynetwork</name>", '<vlan id="200"/>', "<usage>vm</usage>", "My &lt;network&gt;"):
            assert words in made.text
        again = client.post(f"{changed_url}/networks", content=body)
        assert (again.status_code, "<reason>Operation Failed</reason>" in again.text) == (409, True)
        assert "<detail>[Cannot add Network. The name of the logical network 'mynetwork' is already" in again.text
        lacking = client.post(f"{changed_url}/networks", content="<network><name>x</name></network>")
        assert (lacking.status_code, "Network [data_center.id|name] required for add" in lacking.text) == (400, True)
        assert client.put(f"{changed_url}{path}", content="<network><vlan/></network>").text.count("<vlan") == 0
        removed = client.delete(f"{changed_url}{path}")
        assert (removed.status_code, removed.content) == (200, b"")
        assert client.get(f"{changed_url}{path}").status_code == 404
