# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Puts the spoof filter back when somebody flushed the host's ruleset, which a firewall's restart does."""

import logging
import threading
from typing import Final

from covirt.common.errors import Error
from covirt.virtocid.driver.network import HostNetwork

log = logging.getLogger(__name__)

_CHECK_SECONDS: Final = 5.0


class FilterWatch:
    """One thread that looks whether the filter is still there: so long, at most, is a container unfiltered."""

    def __init__(self, network: HostNetwork, *, check_seconds: float = _CHECK_SECONDS) -> None:
        self._network = network
        self._check_seconds = check_seconds
        self._told = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="virtocid-spoof-filter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._check_seconds):
            try:
                self._check()
            except Exception:  # a thread top: one odd answer must not end the watch
                log.exception("The spoof filter could not be checked")

    def _check(self) -> None:
        try:
            self._network.restore_filter()
        except (Error, OSError) as error:
            if str(error) != self._told:  # once, not every five seconds
                log.error("Containers may be without a spoof filter: %s", error)
            self._told = str(error)
        else:
            self._told = ""
