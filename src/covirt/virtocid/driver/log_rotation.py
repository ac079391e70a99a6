# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps console logs from filling the disk: what has grown too large is put aside, without losing a line."""

import logging
import threading

from covirt.common.errors import Error
from covirt.oci.monitor import rotate_log
from covirt.virtocid.driver.services import Services

log = logging.getLogger(__name__)


class LogRotation:
    """One thread that looks at the sizes of all running domains' logs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="virtocid-log-rotation", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._services.config.log.check_seconds):
            try:
                self.rotate_once()
            except Exception:  # a thread top: one odd file must not end rotation for all
                log.exception("Log rotation failed")

    def rotate_once(self) -> None:
        """Rotate every log that is over the limit."""
        settings = self._services.config.log
        for domain in self._services.domains.all():
            run = domain.run
            if run is None:
                continue
            try:
                if run.log.stat().st_size > settings.max_size_bytes:
                    rotate_log(run.monitor_paths, keep=settings.kept)
                    log.debug("Console log rotated domain=%s path=%s", domain.name, run.log)
            except FileNotFoundError:
                continue
            except (Error, OSError) as error:
                log.warning("Console log not rotated domain=%s: %s", domain.name, error)
