# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The administrator's settings, /etc/covirt/vdsm-addon.conf. What cannot be read means: no containers, and why."""

import configparser
import os
from dataclasses import dataclass
from typing import Final

# Where another file is meant, by a test or by an administrator: in the environment of vdsmd.
VARIABLE: Final = "COVIRT_VDSM_ADDON_CONF"
# Set in vdsmd's environment once containers are routed there, and inherited by its hooks: without it they refuse.
ACTIVE: Final = "COVIRT_VDSM_ADDON_ACTIVE"
_PATH: Final = "/etc/covirt/vdsm-addon.conf"
_KEYS: Final = {
    "containers": ("enabled", "uri"),
    "limits": ("answer_seconds", "sample_lifetime_seconds", "call_seconds"),
}


class BadSettings(ValueError):
    """The file and what is wrong in it."""


@dataclass(frozen=True)
class Settings:
    """What the file says, or the defaults."""

    # Containers are off until an administrator wants them.
    enabled: bool = False
    uri: str = "oci:///system"
    # So long an answer that machines are also in waits for virtocid.
    answer_seconds: float = 1.0
    # So long the last sample of statistics stands for one that does not come.
    sample_lifetime_seconds: float = 30.0
    # So long a question about one container may take.
    call_seconds: float = 10.0


def load() -> Settings:
    """Raises BadSettings. Without a file: the defaults, that is, off."""
    path = os.environ.get(VARIABLE, _PATH)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise BadSettings(f"{path} cannot be read: {error}") from error
    _refuse_unknown(parser, path)
    try:
        return Settings(
            enabled=parser.getboolean("containers", "enabled", fallback=Settings.enabled),
            uri=parser.get("containers", "uri", fallback=Settings.uri),
            answer_seconds=_seconds(parser, "answer_seconds", Settings.answer_seconds),
            sample_lifetime_seconds=_seconds(parser, "sample_lifetime_seconds", Settings.sample_lifetime_seconds),
            call_seconds=_seconds(parser, "call_seconds", Settings.call_seconds),
        )
    except ValueError as error:
        raise BadSettings(f"{path}: {error}") from error


def _seconds(parser: configparser.ConfigParser, key: str, default: float) -> float:
    value = parser.getfloat("limits", key, fallback=default)
    if not 0 < value <= 600:
        raise ValueError(f"{key} must be more than 0 and at most 600")
    return value


def _refuse_unknown(parser: configparser.ConfigParser, path: str) -> None:
    for section in parser.sections():
        for key in parser[section]:
            if key not in _KEYS.get(section, ()):
                raise BadSettings(f"{path}: [{section}] {key} is not known")
