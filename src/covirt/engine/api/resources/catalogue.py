# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Small tables that clients read: operating systems, icons, scheduling policies, options."""

from collections.abc import Sequence

from covirt.engine.api.call import Call
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.loading import by_id, each, found
from covirt.engine.api.resources.values import named, properties, reference
from covirt.engine.model.catalogue import Icon, OperatingSystem, SchedulingPolicy, SystemOption


def operating_system_node(system: OperatingSystem) -> Node:
    values: dict[str, Value] = {
        **named(system),
        "architecture": str(system.architecture),
        "small_icon": reference("Icon", system.small_icon_id),
        "large_icon": reference("Icon", system.large_icon_id),
        "tpm_support": system.tpm_support,
    }
    return Node(type="OperatingSystemInfo", id=system.id, values=values)


def icon_node(icon: Icon) -> Node:
    return Node(type="Icon", id=icon.id, values={"media_type": icon.media_type, "data": icon.data})


def policy_node(policy: SchedulingPolicy) -> Node:
    values: dict[str, Value] = {
        **named(policy),
        "locked": policy.locked,
        "default_policy": policy.default_policy,
        "properties": properties(policy.properties) or None,
    }
    return Node(type="SchedulingPolicy", id=policy.id, values=values)


def _options(call: Call, items: Sequence[tuple[str, SystemOption]]) -> Sequence[Node]:
    return [_option_node(option, call.params.others.get("version", "")) for _, option in items]


def _option_node(option: SystemOption, version: str) -> Node:
    """Of one version where one is asked for; "general" is of all."""
    values: list[Value] = [
        {"value": value, "version": of} for value, of in option.values if not version or of in (version, "general")
    ]
    return Node(type="SystemOption", id=option.name, values={"name": option.name, "values": values})


OPERATING_SYSTEMS = Collection(
    path="operatingsystems",
    type="OperatingSystemInfo",
    show=each(operating_system_node),
    list=found(lambda session: session.operating_systems),
    get=by_id(lambda session: session.operating_systems),
    searchable=True,
    uuids=False,
    open=True,
)
ICONS = Collection(
    path="icons",
    type="Icon",
    show=each(icon_node),
    list=found(lambda session: session.icons),
    get=by_id(lambda session: session.icons),
    open=True,
)
SCHEDULING_POLICIES = Collection(
    path="schedulingpolicies",
    type="SchedulingPolicy",
    show=each(policy_node),
    list=found(lambda session: session.scheduling_policies),
    get=by_id(lambda session: session.scheduling_policies),
    open=True,
)
OPTIONS = Collection(
    path="options",
    type="SystemOption",
    show=_options,
    list=found(lambda session: session.system_options),
    get=by_id(lambda session: session.system_options, key="name"),
    key=lambda option: str(option.name),
    uuids=False,
    open=True,
)
