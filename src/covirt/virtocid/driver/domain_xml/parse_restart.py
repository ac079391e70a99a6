# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read <covirt:restart>."""

from typing import Final

from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_restart import RestartPolicy, RestartSettings
from covirt.virtocid.driver.domain_xml.node import Node

_SHORTEST_DELAY_SECONDS: Final = 0.1  # a program that cannot run must not keep the host busy with its starts
_DAY_SECONDS: Final = 86_400.0


def read_restart(node: Node | None) -> RestartSettings | None:
    if node is None:
        return None
    delay = values.seconds(_SHORTEST_DELAY_SECONDS, _DAY_SECONDS)
    default = RestartSettings()
    delay_seconds = node.attribute("delay", delay)
    max_delay_seconds = node.attribute("max-delay", delay)
    if delay_seconds is None:
        delay_seconds = min(default.delay_seconds, max_delay_seconds or default.delay_seconds)
    if max_delay_seconds is None:
        max_delay_seconds = max(default.max_delay_seconds, delay_seconds)
    reset_after_seconds = node.attribute("reset-after", values.seconds(0, _DAY_SECONDS))
    settings = RestartSettings(
        policy=node.required("policy", values.member(RestartPolicy)),
        delay_seconds=delay_seconds,
        max_delay_seconds=max_delay_seconds,
        attempts=node.attribute("attempts", values.integer(1, 1_000_000)),
        reset_after_seconds=default.reset_after_seconds if reset_after_seconds is None else reset_after_seconds,
    )
    node.close()
    if settings.max_delay_seconds < settings.delay_seconds:
        raise node.invalid("it is below the first delay", attribute="max-delay")
    return settings
