# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All classes of verbs that this host answers."""

from covirt.host.stats.capabilities import Capabilities
from covirt.host.stats.statistics import Statistics
from covirt.host.verbs.dispatch import VerbClass
from covirt.host.verbs.host import HostVerbs


def verb_classes(capabilities: Capabilities, statistics: Statistics) -> tuple[VerbClass, ...]:
    return (HostVerbs(capabilities, statistics),)
