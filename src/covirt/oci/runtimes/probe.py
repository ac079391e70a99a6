# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a runtime works on this host, found out without running a container, with the reason in words if not."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import Error
from covirt.common.process import base_environment, run
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.runtime import RuntimeConfig, RuntimeInfo
from covirt.oci.runtimes.advisories import judge
from covirt.oci.runtimes.differences import REFUSED_KINDS, Differences, differences_of

_TIMEOUT_SECONDS: Final = 20.0


def probe(config: RuntimeConfig, kind: str, *, layout: CgroupLayout | None = None) -> RuntimeInfo:
    """Never raises: what goes wrong is the reason."""
    differences = differences_of(kind)
    path = shutil.which(config.path, path=base_environment()["PATH"])
    if kind in REFUSED_KINDS:
        return _unusable(config, REFUSED_KINDS[kind])
    if path is None:
        return _unusable(config, missing_reason(config.path))
    try:
        version_text = run([path, *config.arguments, "--version"], timeout_seconds=_TIMEOUT_SECONDS).stdout.decode()
    except Error as error:
        return _unusable(config, f"it does not answer --version: {error}")
    match = re.search(r"version[ :]+v?(\S+)", version_text)
    if match is None:
        return _unusable(config, "its --version names no version: is it an OCI runtime?")
    version = match[1]
    judgement = judge(kind, version, Path(path))
    reason = judgement.reason or _cgroup_reason(differences, layout or CgroupLayout.detect())
    return RuntimeInfo(
        name=config.name,
        path=path,
        version=version,
        features=_features(path, config, differences, version_text),
        usable=reason is None,
        reason=reason,
        warnings=judgement.warnings,
    )


def missing_reason(path: str) -> str:
    """Why a program could not be found, in words."""
    if os.sep in path and os.path.exists(path):
        return f"{path} is not executable" if os.path.isfile(path) else f"{path} is not a program"
    return f"the program {path} is not installed"


def counts_swap() -> bool:
    """Tell whether the kernel limits swap per cgroup: without, runtimes refuse any swap limit."""
    return CgroupLayout.detect().counts_swap()


def _unusable(config: RuntimeConfig, reason: str) -> RuntimeInfo:
    return RuntimeInfo(
        name=config.name, path=config.path, version=None, features=frozenset(), usable=False, reason=reason
    )


def _cgroup_reason(differences: Differences, layout: CgroupLayout) -> str | None:
    if not differences.refuses_hybrid_cgroups or layout.version != 1 or layout.unified is None:
        return None
    controllers = layout.unified_controllers()
    if not controllers:
        return None
    return (
        f"it refuses a hybrid cgroup tree, and {layout.unified} holds the v2 controllers "
        f"{', '.join(sorted(controllers))} beside v1; boot with systemd.unified_cgroup_hierarchy=1, or use runc"
    )


def _features(path: str, config: RuntimeConfig, differences: Differences, version_text: str) -> frozenset[str]:
    words: set[str] = set()
    if differences.has_events:
        words.add("events")
    if differences.version_lists_features:
        words |= {word.lower() for word in re.findall(r"\+(\w+)", version_text)}
    if differences.has_features:
        words |= _declared_features(path, config)
    return frozenset(words)


def _declared_features(path: str, config: RuntimeConfig) -> set[str]:
    """What `features` says (runtime-spec, features.md), as words; too old a program has none."""
    try:
        completed = run([path, *config.arguments, "features"], timeout_seconds=_TIMEOUT_SECONDS)
        document: dict[str, Any] = json.loads(completed.stdout)
        linux: dict[str, Any] = document.get("linux") or {}
    except (Error, ValueError, AttributeError):
        return set()
    words = {"features"}
    for name in ("apparmor", "selinux", "seccomp"):
        if (linux.get(name) or {}).get("enabled"):
            words.add(name)
    if ((linux.get("mountExtensions") or {}).get("idmap") or {}).get("enabled"):
        words.add("idmapped-mounts")
    if (linux.get("cgroup") or {}).get("systemd"):
        words.add("systemd")
    return words
