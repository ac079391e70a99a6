# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Runs as a test wants them, without anything that runs."""

from pathlib import Path

from covirt.virtocid.driver.domain_xml.format import format_domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.store import RunPhase


def made_up_run(config: DomainConfig, *, boot_id: str = "this boot", directory: Path = Path("/nowhere")) -> Run:
    """A running run of this definition, which names no process."""
    return Run(
        uuid=config.uuid,
        boot_id=boot_id,
        domain_id=1,
        run_number=1,
        runtime="fake",
        config=config,
        xml=format_domain(config, secure=True),
        first_id=65536,
        persistent=True,
        bridges=(),
        directory=directory,
        log=directory / "console.log",
        cgroup_path="/fake",
        image_path="/image",
        started_at=0.0,
        phase=RunPhase.RUNNING,
    )
