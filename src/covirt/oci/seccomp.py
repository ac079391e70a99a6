# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The system call filter: the distribution's default profile, worked out for one container.

The file is that of containers/common (seccomp.json): OCI's linux.seccomp, except that a rule may apply only with
certain capabilities or architectures ("includes", "excludes"). Only the native architecture is allowed: the filter
loads several ms faster than with the 32-bit ones, and 32-bit system calls are a needless way in.
"""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from covirt.oci.isolation_errors import BadSeccompProfile, SeccompProfileMissing

DEFAULT_PROFILE: Final = Path("/usr/share/containers/seccomp.json")

# uname's machine -> the name in OCI's spec, and the name that profiles use in their conditions (Go's).
_ARCHITECTURES: Final = {
    "x86_64": ("SCMP_ARCH_X86_64", "amd64"),
    "aarch64": ("SCMP_ARCH_AARCH64", "arm64"),
    "s390x": ("SCMP_ARCH_S390X", "s390x"),
    "ppc64le": ("SCMP_ARCH_PPC64LE", "ppc64le"),
    "riscv64": ("SCMP_ARCH_RISCV64", "riscv64"),
}
_ACTIONS: Final = frozenset(
    f"SCMP_ACT_{name}"
    for name in ("KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY")
)


def load_profile(
    capabilities: tuple[str, ...], *, path: Path = DEFAULT_PROFILE, machine: str | None = None
) -> dict[str, Any]:
    """OCI's linux.seccomp for a container with these capabilities (``CAP_...``). Shared: do not change it.

    Raises SeccompProfileMissing (a missing profile never means no filter) and BadSeccompProfile.
    """
    try:
        changed_ns = os.stat(path).st_mtime_ns
    except OSError as error:
        raise SeccompProfileMissing(path=path, reason=error.strerror) from error
    return _resolved(path, changed_ns, tuple(sorted(capabilities)), machine or os.uname().machine)


@lru_cache(maxsize=32)
def _resolved(path: Path, _changed_ns: int, capabilities: tuple[str, ...], machine: str) -> dict[str, Any]:
    try:
        profile: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise SeccompProfileMissing(path=path, reason=error.strerror) from error
    except ValueError as error:
        raise BadSeccompProfile(path=path, reason=f"it is not JSON ({error})") from error
    if machine not in _ARCHITECTURES:
        raise BadSeccompProfile(path=path, reason=f"no rules are known for the architecture {machine}")
    architecture, go_name = _ARCHITECTURES[machine]
    try:
        answer: dict[str, Any] = {
            "defaultAction": _action(profile["defaultAction"]),
            "architectures": [architecture],
            "syscalls": [
                _rule(rule)
                for rule in profile.get("syscalls") or []
                if _applies(rule, frozenset(capabilities), go_name)
            ],
        }
        if profile.get("defaultErrnoRet") is not None:
            answer["defaultErrnoRet"] = int(profile["defaultErrnoRet"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadSeccompProfile(path=path, reason=f"{type(error).__name__}: {error}") from error
    return answer


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"names": list(rule["names"]), "action": _action(rule["action"])}
    if rule.get("args"):
        answer["args"] = [
            {
                "index": int(each["index"]),
                "value": int(each["value"]),
                "valueTwo": int(each.get("valueTwo") or 0),
                "op": str(each["op"]),
            }
            for each in rule["args"]
        ]
    if rule.get("errnoRet") is not None:
        answer["errnoRet"] = int(rule["errnoRet"])
    return answer


def _action(text: Any) -> str:
    if text not in _ACTIONS:
        raise ValueError(f"the action {text!r} is unknown")
    return str(text)


def _applies(rule: dict[str, Any], capabilities: frozenset[str], architecture: str) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if includes.get("arches") and architecture not in includes["arches"]:
        return False
    if includes.get("caps") and not set(includes["caps"]) <= capabilities:
        return False
    if includes.get("minKernel") and _kernel() < _version(includes["minKernel"]):
        return False
    return not (
        architecture in (excludes.get("arches") or ())
        or set(excludes.get("caps") or ()) & capabilities
        or (excludes.get("minKernel") and _kernel() >= _version(excludes["minKernel"]))
    )


def _kernel() -> tuple[int, ...]:
    return _version(os.uname().release.split("-")[0])


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])
