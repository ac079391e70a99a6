# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt user``."""

import click

from covirt.cli.nouns.common import ID, Face, add_list, add_remove, add_show, lazily, named


@click.group()
def user() -> None:
    """Who may log in."""


FACE = Face(
    load=lazily("USERS"),
    columns=(named("USER", "user_name"), named("NAME", "name"), named("DOMAIN", "domain.name"), ID),
    follow="domain",
)
add_list(user, FACE, "users")
add_show(user, FACE, "a user")
add_remove(user, FACE, "users")
