# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Names of objects, for a shell that completes them: those that the user may see, or none where nothing answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from covirt.client.record import Record
    from covirt.client.resources import Collection

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def names_of(
    load: "Callable[[], Collection]",
    *,
    search: str = "",
    name: "Callable[[Record], str] | None" = None,
) -> Complete:
    """For shell_complete."""

    def found(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from covirt.cli.session import engine
        from covirt.common.errors import Error

        del ctx, param
        collection = load()
        try:
            with engine() as resources:
                listed = resources.list(collection, search=search)
        except Error:  # what is wrong is told by the command itself
            return []
        names = {name(each) if name else each.text(collection.name_field) for each in listed}
        return sorted(each for each in names if each.startswith(incomplete))

    return found
