# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/cli.md`` as text: what --help says, of every command."""

from collections.abc import Iterator
from typing import Final

import click

from covirt.cli.main import main
from tools.pages import Page

_MODULE: Final = "tools.cli_page"
_PREFACE: Final = f"""\
# The command covirt

The list of commands is made by `python -m {_MODULE}` out of the program itself.

`covirt` talks to an engine, from anywhere. `covirt login https://engine.example.com --ca-file ca.pem` asks for the
password and keeps a token in `~/.config/covirt/login.json`, which only you can read; `covirt logout` makes it worth
nothing. On a machine of [`covirt up`](quick-start.md) root needs no login. For scripts: `COVIRT_URL`, `COVIRT_TOKEN`
and `COVIRT_CA_FILE`; `COVIRT_ROOT` where `covirt up --root` was given a directory.

```console
# covirt container run docker.io/library/nginx:1 --name web --net ovirtmgmt --volume pages:/srv:1GiB
web
# covirt container list
NAME  STATUS  EXIT  IMAGE                      ADDRESS     HOST   STARTED
web   up            docker.io/library/nginx:1  10.77.0.76  node1  4 s ago
# covirt container exec -it web sh
# covirt container logs --follow web
# covirt vm create db --memory 4GiB --disk 20GiB --cdrom debian.iso --net ovirtmgmt --start
# covirt vm console db
# covirt container list --output json | jq '.[].name'
```

- Objects are named by name or id. Where several have a name the answer lists their ids.
- Tables fit the terminal as far as names stay whole, and are whole in a pipe. `--output wide` has more columns,
  `json` and `yaml` all of an object, as [the API](rest-api.md) has it. `--filter NAME=VALUE` looks at columns,
  `--search` is [oVirt's language](rest-api.md#asking).
- A name without a registry is completed as podman and docker do: `nginx` is `docker.io/library/nginx:latest`.
- A container's volumes stay when it is removed (`--volumes` removes them); a virtual machine's own disks go with it
  (`--keep-disks` keeps them).
- Long work shows a bar on a terminal; `--no-wait` returns at once, and `covirt job show ID` tells the rest. A
  `container run` or `vm create` that fails takes back what it has made, also when only the start fails; an imported
  image stays. A disk that is there already is taken as it is, if it has the size that is named.
- Completion: `covirt completion bash >/etc/bash_completion.d/covirt`, and alike for zsh and fish. Names of objects
  are completed, too.

## How it ends

| status | when |
|---|---|
| 0 | all was done |
| 1 | for a reason that has no status of its own |
| 2 | what was typed is wrong, or the engine cannot take it as it is |
| 3 | there is no such object |
| 4 | not logged in, or not permitted |
| 5 | the object's state forbids it; a job has failed |
| 6 | the engine, a host or a stream does not answer |
| 125 to 127 | of `container exec`: not begun, not executable, not found; otherwise it ends as the command does |
| 130 | Ctrl-C |

What is wrong is said in one sentence on standard error.

## Commands
"""


def page() -> str:
    """The whole page."""
    context = click.Context(main, info_name="covirt")
    return _PREFACE + "".join(_sections(main, context))


def _sections(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        below = click.Context(command, info_name=name, parent=context, terminal_width=110, max_content_width=110)
        if isinstance(command, click.Group):
            yield f"\n### {below.command_path}\n\n{command.help}\n"
            yield from _commands(command, below)
        else:
            yield f"\n### {below.command_path}\n\n```text\n{_help(below)}```\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            below = click.Context(command, info_name=name, parent=context, terminal_width=110, max_content_width=110)
            yield f"\n```text\n{_help(below)}```\n"


def _help(context: click.Context) -> str:
    lines = context.get_help().splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines if not line.strip().startswith("--help "))


PAGE: Final = Page(name="cli.md", module=_MODULE, text=page)
