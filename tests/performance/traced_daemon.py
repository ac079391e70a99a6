# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virtocid with a wrapper around each step of a start, which writes down when the step began and ended."""

import functools
import importlib
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

FILE: Final = "trace.jsonl"  # below the root
_STEPS: Final = (
    "covirt.virtocid.dispatch:Dispatcher.perform",
    "covirt.virtocid.driver.lifecycle:Lifecycle.start",
    "covirt.virtocid.driver.start:Starter.start",
    "covirt.virtocid.driver.start:Starter._prepare",
    "covirt.oci.cgroup_tree:CgroupTree.make",
    "covirt.oci.cgroup_tree:CgroupTree.call_inside",
    "covirt.oci.supervisor:spawn",
    "covirt.oci.mount:mount_overlay",
    "covirt.oci.mount:clone_idmapped",
    "covirt.oci.mount:unmount",
    "covirt.virtocid.driver.services:Services.image_of",
    "covirt.virtocid.driver.start:format_domain",
    "covirt.virtocid.driver.store:RunStore.save",
    "covirt.oci.bundle:prepare_bundle_directory",
    "covirt.oci.namespaces:NamespaceFactory.make",
    "covirt.oci.namespaces:_Helper.__init__",
    "covirt.oci.namespaces:_Helper.close",
    "covirt.virtocid.driver.start:Starter._create",
    "covirt.oci.supervisor:PlainSupervisor.prepare",
    "covirt.oci.bundle:prepare_bundle",
    "covirt.virtocid.driver.start:resolve_user",
    "covirt.virtocid.driver.plan:Plan.complete",
    "covirt.virtocid.driver.start:build_spec",
    "covirt.virtocid.driver.start:write_config",
    "covirt.oci.monitor:ConmonMonitor.create",
    "covirt.oci.monitor:ConmonMonitor._launch",
    "covirt.oci.monitor:ConmonMonitor._wait",
    "covirt.virtocid.driver.network:Network.plug",
    "covirt.oci.spoof_filter:SpoofFilter.allow",
    "covirt.virtocid.driver.network:plug",
    "covirt.oci.interface:_bridge",
    "covirt.oci.interface:_make_pair",
    "covirt.oci.interface:in_network_namespace",
    "covirt.oci.interface:_configure",
    "covirt.oci.interface:_activate",
    "covirt.oci.runtimes.command_line:CommandLineRuntime.start",
    "covirt.virtocid.driver.ending:Endings.watch",
)


def main() -> None:
    path = Path(sys.argv[sys.argv.index("--root") + 1]) / FILE
    for step in _STEPS:
        _wrap(step, path)
    from covirt.virtocid.main import main as serve

    serve()


def _wrap(step: str, path: Path) -> None:
    module, _, name = step.partition(":")
    owner = importlib.import_module(module)
    *classes, last = name.split(".")
    for each in classes:
        owner = getattr(owner, each)
    setattr(owner, last, _timed(name, getattr(owner, last), path))


def _timed(name: str, function: Callable[..., Any], path: Path) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            line = json.dumps([name, threading.current_thread().name, begin, time.perf_counter()])
            with path.open("a") as stream:
                stream.write(f"{line}\n")

    return wrapper


if __name__ == "__main__":
    main()
