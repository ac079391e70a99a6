# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a command of the agent is: a function, and the names of the arguments it takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.guest import GuestRun
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.run import Run

# None is JSON's null; an object without members stands for "nothing to tell".
Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a command. ``seconds``: how long the container may take to answer."""

    domain: Domain
    run: Run
    guest: GuestRun
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``run`` raises Refused, and what looking into the container raises."""

    run: Callable[[Call, Arguments], Json]
    arguments: tuple[str, ...] = ()
    answers: bool = True  # False: QEMU's agent says nothing when it succeeded


Commands = Mapping[str, Command]
