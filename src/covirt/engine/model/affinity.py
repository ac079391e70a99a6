# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What shall run together or apart: affinity groups, affinity labels, and the tags that only tell things apart."""

from dataclasses import dataclass
from enum import StrEnum

from covirt.engine.model.entity import Entity


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityRule:
    """Between a group's machines, or between them and its hosts. ``enforcing``: no host is taken that breaks it."""

    enabled: bool = False
    positive: bool = True
    enforcing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityGroup(Entity):
    cluster_id: str
    priority: float = 1.0
    vms_rule: AffinityRule = AffinityRule()
    hosts_rule: AffinityRule = AffinityRule()
    vm_ids: frozenset[str] = frozenset()
    host_ids: frozenset[str] = frozenset()
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityLabel(Entity):
    read_only: bool = False
    has_implicit_affinity_group: bool = False
    vm_ids: frozenset[str] = frozenset()
    host_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag(Entity):
    """``parent_id`` is None for the root only."""

    parent_id: str | None = None


class TaggedType(StrEnum):
    """What a tag may hang on; the words are the store's."""

    VM = "vm"
    HOST = "host"
    TEMPLATE = "template"
    USER = "user"
    GROUP = "group"
