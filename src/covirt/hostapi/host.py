# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class Host that need nothing else."""

from typing import Final

from covirt.hostapi.verb import Verb

VERBS: Final = (
    Verb(name="Host.ping", summary="Tells that the host answers.", quick=True),
    Verb(
        name="Host.ping2", summary="Tells that the host answers, before it has recovered too.", quick=True, early=True
    ),
)
