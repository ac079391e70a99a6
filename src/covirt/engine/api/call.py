# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One request, as handlers see it."""

import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from covirt.engine.api.params import Params
from covirt.engine.api.reader import Reader
from covirt.engine.api.services import ApiServices, Principal
from covirt.engine.commands.asked import Asked, Repeatable
from covirt.engine.commands.change import Change, changing
from covirt.engine.commands.command import WAIT_SECONDS, Command, Outcome
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """``viewer`` is what lists are limited to."""

    services: ApiServices
    principal: Principal
    params: Params
    correlation_id: str
    address: str
    reader: Reader
    viewer: Any
    repeatable: Repeatable | None = None

    @property
    def session(self) -> Session:
        """The store's, which reads. Not to be kept over a change."""
        return self.reader.session

    @property
    def asked(self) -> Asked:
        """Who asks, for commands."""
        principal = self.principal
        return Asked(
            user_id=principal.user_id,
            user_name=principal.name,
            principal_ids=frozenset({principal.user_id, *principal.group_ids}),
            address=self.address,
            correlation_id=self.correlation_id,
            repeatable=self.repeatable,
        )

    def new_id(self, what: str) -> str:
        """Of what the request makes; a request that is repeated makes it no second time."""
        if self.repeatable is None:
            return str(uuid.uuid4())
        return self.repeatable.made_id(self.principal.user_id, what)

    def changing(self) -> AbstractContextManager[Change]:
        """A short change by the caller: one transaction that writes."""
        self.reader.release()
        return changing(self.services.store, self.asked)

    def run(self, command: Command, *, wait_seconds: float = WAIT_SECONDS) -> Outcome:
        """A durable operation by the caller. Raises what it fails with in that time."""
        self.reader.release()
        return self.services.commands.run(self.asked, command, wait_seconds=wait_seconds)
