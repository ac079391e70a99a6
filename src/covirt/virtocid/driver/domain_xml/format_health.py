# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Write <covirt:health> and <covirt:restart>."""

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_health import (
    Check,
    CommandCheck,
    HealthSettings,
    HttpCheck,
    OnUnhealthy,
    TcpCheck,
)
from covirt.virtocid.driver.domain_xml.model_restart import RestartSettings


def write_restart(container: etree._Element, restart: RestartSettings | None) -> None:
    if restart is None:
        return
    _add(
        container,
        "restart",
        {
            "policy": restart.policy,
            "delay": values.seconds_text(restart.delay_seconds),
            "max-delay": values.seconds_text(restart.max_delay_seconds),
            "attempts": restart.attempts,
            "reset-after": values.seconds_text(restart.reset_after_seconds),
        },
    )


def write_health(container: etree._Element, health: HealthSettings | None) -> None:
    if health is None:
        return
    element = _add(
        container,
        "health",
        {
            "interval": _seconds(health.interval_seconds),
            "timeout": _seconds(health.timeout_seconds),
            "start-period": _seconds(health.start_period_seconds),
            "start-interval": _seconds(health.start_interval_seconds),
            "retries": health.retries,
            "on-unhealthy": None if health.on_unhealthy is OnUnhealthy.NOTHING else health.on_unhealthy,
        },
    )
    if health.check is not None:
        _write_check(element, health.check)


def _write_check(element: etree._Element, check: Check) -> None:
    match check:
        case CommandCheck():
            command = _add(element, "command", {})
            if check.in_shell:
                command.text = check.arguments[0]
                return
            for argument in check.arguments:
                _add(command, "argument", {}).text = argument
        case HttpCheck():
            low, high = check.status
            facts = {"port": check.port, "path": check.path, "host": check.host, "address": check.address}
            _add(element, "http", {**facts, "status": str(low) if low == high else f"{low}-{high}"})
        case TcpCheck():
            _add(element, "tcp", {"port": check.port, "address": check.address})
        case _:
            _add(element, "none", {})


def _add(parent: etree._Element, tag: str, attributes: dict[str, object]) -> etree._Element:
    element = etree.SubElement(parent, f"{{{COVIRT_NAMESPACE}}}{tag}")
    for name, value in attributes.items():
        if value is not None:
            element.set(name, str(value))
    return element


def _seconds(value: float | None) -> str | None:
    return None if value is None else values.seconds_text(value)
