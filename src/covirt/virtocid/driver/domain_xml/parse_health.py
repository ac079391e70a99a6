# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read <covirt:health>."""

import re
from typing import Final

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_health import (
    LOOPBACK,
    Check,
    CommandCheck,
    HealthSettings,
    HttpCheck,
    NoCheck,
    OnUnhealthy,
    TcpCheck,
)
from covirt.virtocid.driver.domain_xml.node import Node

SHORTEST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 86_400.0
MOST_RETRIES: Final = 1000
_KINDS: Final = ("command", "http", "tcp", "none")
_TIME: Final = values.seconds(SHORTEST_SECONDS, LONGEST_SECONDS)
_PORT: Final = values.integer(1, 65535)
# What may stand in a request line and in a header: no space and no line break, so nobody writes more than the one.
_PATH: Final = re.compile(r"/[\x21-\x7e]{0,2000}")
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
_STATUS: Final = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


def _tag(name: str) -> str:
    return f"{{{COVIRT_NAMESPACE}}}{name}"


def read_health(node: Node | None) -> HealthSettings | None:
    if node is None:
        return None
    settings = HealthSettings(
        check=_check(node),
        interval_seconds=node.attribute("interval", _TIME),
        timeout_seconds=node.attribute("timeout", _TIME),
        start_period_seconds=node.attribute("start-period", values.seconds(0, LONGEST_SECONDS)),
        start_interval_seconds=node.attribute("start-interval", _TIME),
        retries=node.attribute("retries", values.integer(1, MOST_RETRIES)),
        on_unhealthy=node.attribute("on-unhealthy", values.member(OnUnhealthy)) or OnUnhealthy.NOTHING,
    )
    node.close()
    return settings


def _check(node: Node) -> Check | None:
    present = [(kind, child) for kind in _KINDS for child in node.children(_tag(kind))]
    if len(present) > 1:
        raise present[1][1].invalid("there is one check per container; a command can do several things")
    if not present:
        return None
    kind, child = present[0]
    match kind:
        case "command":
            return _command(child)
        case "http":
            check: Check = HttpCheck(
                port=child.required("port", _PORT),
                path=child.attribute("path", _path) or "/",
                host=child.attribute("host", _host) or "localhost",
                address=child.attribute("address", values.ip_address) or LOOPBACK,
                status=child.attribute("status", _status) or (200, 399),
            )
        case "tcp":
            check = TcpCheck(
                port=child.required("port", _PORT), address=child.attribute("address", values.ip_address) or LOOPBACK
            )
        case _:
            check = NoCheck()
    child.close()
    return check


def _command(node: Node) -> CommandCheck:
    arguments = tuple(argument.text(str) for argument in node.children(_tag("argument")))
    node.close()
    if arguments:
        if node.raw_text.strip():
            raise node.invalid("it has a line for the shell and <argument> elements; write one of them")
        if not arguments[0]:
            raise node.invalid("the first <argument>, the program, is empty")
        return CommandCheck(arguments=arguments)
    return CommandCheck(arguments=(node.text(values.not_empty),), in_shell=True)


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} is not a path such as /health: it begins with '/' and has no space")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"{text!r} is not a host such as shop.example.org")
    return text


def _status(text: str) -> tuple[int, int]:
    match = _STATUS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither a status such as 200 nor a range such as 200-299")
    low, high = int(match[1]), int(match[2] or match[1])
    if high < low:
        raise ValueError(f"{text!r} runs backwards")
    return low, high
