# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All classes of verbs that this host answers."""

from covirt.host.services import Services
from covirt.host.verbs.dispatch import VerbClass
from covirt.host.verbs.host import HostVerbs


def verb_classes(_services: Services) -> tuple[VerbClass, ...]:
    return (HostVerbs(),)
