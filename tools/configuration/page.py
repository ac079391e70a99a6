# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/configuration.md`` as text."""

import json
import re
from pathlib import Path
from typing import Any, Final

from covirt.common.config import Between
from covirt.engine import config as engine_config
from covirt.engine.config import EngineConfig
from covirt.host import config as host_config
from covirt.host.config import HostConfig
from tools.configuration.settings import Setting, Table, tables
from tools.pages import Page

_MODULE: Final = "tools.configuration"
_WITHOUT_END: Final = 2**63 - 1  # as a limit this is none
_PREFACE: Final = f"""\
# The settings of virtocid

This page is made by `python -m {_MODULE}` out of `src/covirt/virtocid/config.py`.

Settings stand in TOML files: `/etc/covirt/virtocid.d/*.toml` are the administrator's,
`/usr/lib/covirt/virtocid.d/*.toml` those of packages; a second installation (`--root DIR`) has both below its own
root. Without any file every setting has the default of this page. Of two files of the same name in both places, the
administrator's counts. All files are then read in the order of their names, and later ones win, key by key; lists are
replaced whole.

```toml
# /etc/covirt/virtocid.d/50-local.toml
[container]
default_runtime = "crun"
allowed_directories = ["/srv/www", "/srv/data:rw"]

[slice.disks."/dev/sda"]
write_bytes_sec = 104857600
```

`virtocid --show-config` prints what all files together say, and needs no running daemon. A mistake (a key that does
not exist, a value out of its range) keeps virtocid from starting, with one sentence that names file and key; so look
with `--show-config` first. Changes take effect with `systemctl restart virtocid`, under which containers go on.
"""


_HOST_PREFACE: Final = f"""\
# The settings of covirt-host

This page is made by `python -m {_MODULE}` out of `src/covirt/host/config.py` and the files that it names.

Settings stand in `/etc/covirt/host.d/*.toml`, those of packages in `/usr/lib/covirt/host.d/*.toml`, and are read as
[virtocid's](configuration.md) are: in the order of their names, later ones win, and a mistake keeps the agent from
starting. `covirt-host --show-config` prints what all files together say. Changes take effect with `systemctl restart
covirt-host`, under which guests go on.

```toml
# /etc/covirt/host.d/50-local.toml
[containers]
enabled = true

[metrics]
listen = "127.0.0.1:9178"
```
"""


_ENGINE_PREFACE: Final = f"""\
# The settings of covirt-engine

This page is made by `python -m {_MODULE}` out of `src/covirt/engine/config.py`.

Settings stand in `/etc/covirt/engine.d/*.toml`, those of packages in `/usr/lib/covirt/engine.d/*.toml`, and are read
as [virtocid's](configuration.md) are: in the order of their names, later ones win, and a mistake keeps the engine
from starting. `covirt-engine --show-config` prints what all files together say; no setting is a secret. Changes take
effect with `systemctl restart covirt-engine`, under which everybody stays logged in.

```toml
# /etc/covirt/engine.d/50-local.toml
[server]
names = ["engine.example.com"]

[metrics]
listen = "127.0.0.1:9179"
```
"""


def page() -> str:
    """All of virtocid's. Raises CannotTell."""
    return "\n".join((_PREFACE, *map(_section, tables())))


def host_page() -> str:
    """All of covirt-host's. Raises CannotTell."""
    return "\n".join((_HOST_PREFACE, *map(_section, tables(HostConfig, host_config))))


def engine_page() -> str:
    """All of covirt-engine's. Raises CannotTell."""
    return "\n".join((_ENGINE_PREFACE, *map(_section, tables(EngineConfig, engine_config))))


def _section(table: Table) -> str:
    lines = [f"## {f'`[{table.name}]`' if table.name else 'Before the first table'}", ""]
    if table.meaning:
        lines += [_text(table.meaning), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|", *map(_line, table.settings), ""]
    return "\n".join(lines)


def _line(setting: Setting) -> str:
    kind = setting.type + (_bounds(setting.check) if isinstance(setting.check, Between) else "")
    return f"| `{setting.key}` | {kind} | {_default(setting.default)} | {_text(setting.meaning)} |"


def _bounds(check: Between) -> str:
    if check.maximum >= _WITHOUT_END:
        return f", {check.minimum} or more"
    return f", {check.minimum} to {check.maximum}"


def _default(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"


def _text(comment: str) -> str:
    """A comment in Markdown: what looks like a tag is code, and a line of a table has no bars of its own."""
    return re.sub(r"(?<!`)(<[^<>]+>|\[[\w.]+\.[^\]]*\])(?!`)", r"`\1`", comment.replace("``", "`")).replace(
        "|", r"\|"
    )


PAGE: Final = Page(name="configuration.md", module=_MODULE, text=page)
HOST_PAGE: Final = Page(name="host-configuration.md", module=_MODULE, text=host_page)
ENGINE_PAGE: Final = Page(name="engine-configuration.md", module=_MODULE, text=engine_page)
