# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a principal may do, and what of a list a principal sees."""

from covirt.engine.auth.errors import MustFilter
from covirt.engine.auth.principal import Principal
from covirt.engine.store.query import Viewer


class Access:
    def viewer(self, principal: Principal, *, filtered: bool) -> Viewer | None:
        """What lists are limited to; None sees everything. Raises MustFilter."""
        if filtered:
            return Viewer(principal_ids=principal.ids)
        if not principal.admin:
            raise MustFilter(user=principal.name)
        return None
