# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt completion``: what a shell is to be told once."""

import click


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print what makes a shell complete covirt's words.

    For bash: covirt completion bash >/etc/bash_completion.d/covirt
    """
    from click.shell_completion import get_completion_class

    from covirt.cli.main import main

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no shell {shell}")
    click.echo(found(main, {}, "covirt", "_COVIRT_COMPLETE").source())
