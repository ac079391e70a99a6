# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Known ways out of a container through its runtime, as data, and the judgement of an installed program by it.

Judged by what is really installed: a distribution repairs old versions without changing upstream's number, so for a
packaged program its package version and its changelog count, for any other one upstream's version.

An escape that a user namespace contains is a warning for a packaged program (its distribution decides when to repair
it, and every container of ours has a user namespace unless its XML says otherwise); all else makes the program
unusable.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from covirt.common.errors import Error
from covirt.common.process import run

_TIMEOUT_SECONDS: Final = 20.0
_CHANGELOG_LIMIT: Final = 8 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Escape:
    """``fixed``: the first repaired release of each upstream branch, newest branch last.

    ``debian``: package versions known to hold a backport, by Debian's version numbers.
    """

    kind: str
    identifiers: tuple[str, ...]
    fixed: tuple[str, ...]
    contained_by_user_namespace: bool
    debian: Mapping[str, str] = field(default_factory=dict)


ESCAPES: Final[tuple[Escape, ...]] = (
    # runc GHSA-xr7r-f8xq-vfvv ("Leaky Vessels"), 2024-01-31: a leaked descriptor of the host's file system.
    # Debian: DSA, changelog of runc 1.1.5+ds1-1+deb12u1.
    Escape(
        kind="runc",
        identifiers=("CVE-2024-21626",),
        fixed=("1.1.12",),
        contained_by_user_namespace=False,
        debian={"12": "1.1.5+ds1-1+deb12u1"},
    ),
    # runc GHSA-9493-h29p-rfm2, GHSA-qw9x-cqr3-wc7r, GHSA-cgrx-mc8f-2prm, 2025-11-05: writes to procfs files
    # redirected by swapped mounts. The advisories name user namespaces without the host's root as what
    # blocks the serious part.
    # Debian 12's 1.1.5+ds1-1+deb12u1 and Debian 13's 1.1.15+ds1-2 are not repaired as far as we know.
    Escape(
        kind="runc",
        identifiers=("CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"),
        fixed=("1.2.8", "1.3.3", "1.4.0-rc.3"),
        contained_by_user_namespace=True,
    ),
    # crun NEWS 1.28: devices are made through the image's /dev even when it is a symbolic link out of the rootfs.
    # With a user namespace the container's mapped root makes them, who may not write to the host's directories.
    Escape(
        kind="crun",
        identifiers=("CVE-2026-47766",),
        fixed=("1.28",),
        contained_by_user_namespace=True,
    ),
    # crun NEWS 0.10.5: symbolic links in the rootfs. (CVE-2025-24965 of 1.20 needs the krun handler, which we never
    # ask for; CVE-2022-27650 and CVE-2026-30892 give exec'd processes too much inside the container; CVE-2024-21626
    # does not affect crun by its own word, NEWS 1.14.1.)
    Escape(
        kind="crun",
        identifiers=("CVE-2019-18837",),
        fixed=("0.10.5",),
        contained_by_user_namespace=False,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The distribution package that owns a program."""

    name: str
    version: str
    named_repairs: frozenset[str]  # CVE names found in its changelog


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    reason: str | None  # why unusable
    warnings: tuple[str, ...]


def owning_package(path: Path) -> Package | None:
    """The Debian package a program belongs to, or None (hand-made, or no dpkg here)."""
    # With merged /usr the package may have recorded either spelling.
    spellings = {str(path), str(path.resolve())}
    spellings |= {spelling.removeprefix("/usr") for spelling in spellings if spelling.startswith("/usr/")}
    try:
        owners = run(["dpkg-query", "--search", *sorted(spellings)], timeout_seconds=_TIMEOUT_SECONDS, check=False)
        name = owners.stdout.decode(errors="replace").partition(": ")[0].partition(",")[0].partition(":")[0]
        if not name or name.startswith("diversion"):
            return None
        version = run(
            ["dpkg-query", "--show", "--showformat=${Version}", name], timeout_seconds=_TIMEOUT_SECONDS
        ).stdout.decode()
    except Error:
        return None
    return Package(name=name, version=version, named_repairs=_named_repairs(name))


def _named_repairs(package: str) -> frozenset[str]:
    for file_name in ("changelog.Debian.gz", "changelog.Debian.amd64.gz", "changelog.gz"):
        try:
            with gzip.open(Path("/usr/share/doc") / package / file_name) as stream:
                text = stream.read(_CHANGELOG_LIMIT).decode(errors="replace")
        except OSError:
            continue
        return frozenset(re.findall(r"CVE-\d{4}-\d{4,}", text))
    return frozenset()


def judge(kind: str, version: str, path: Path) -> Judgement:
    """Compare an installed program with the table. ``version`` is what the program says of itself."""
    if all(at_least_one_of(version, escape.fixed) for escape in ESCAPES if escape.kind == kind):
        return Judgement(reason=None, warnings=())
    return judge_package(kind, version, owning_package(path))


def judge_package(kind: str, version: str, package: Package | None) -> Judgement:
    """The same for a program of which the owning package, if any, is known."""
    warnings: list[str] = []
    for escape in ESCAPES:
        if escape.kind != kind or _repaired(escape, version, package):
            continue
        names = ", ".join(escape.identifiers)
        upgrade = " or ".join(escape.fixed)
        if package is None:
            return Judgement(
                reason=f"version {version} has a known way out of the container ({names}); "
                f"install {upgrade} or newer",
                warnings=(),
            )
        what = f"package {package.name} {package.version} does not say that it repairs {names}"
        if not escape.contained_by_user_namespace:
            return Judgement(reason=f"{what}, a known way out of the container; upgrade it", warnings=())
        warnings.append(f"{what} (repaired upstream in {upgrade}); a user namespace contains it, so keep that on")
    return Judgement(reason=None, warnings=tuple(warnings))


def _repaired(escape: Escape, version: str, package: Package | None) -> bool:
    if at_least_one_of(version, escape.fixed):
        return True
    if package is None:
        return False
    if set(escape.identifiers) <= package.named_repairs:
        return True
    return any(_debian_at_least(package.version, backport) for backport in escape.debian.values())


def _debian_at_least(version: str, backport: str) -> bool:
    """A backport counts within its own upstream version only: 1.1.6 of elsewhere may lack what 1.1.5+deb12u1 has."""
    upstream, _, _ = backport.partition("-")
    if not version.startswith(f"{upstream}-"):
        return False
    comparison = ["dpkg", "--compare-versions", version, "ge", backport]
    return run(comparison, timeout_seconds=_TIMEOUT_SECONDS, check=False).status == 0


def at_least_one_of(version: str, fixed: tuple[str, ...]) -> bool:
    """Tell whether ``version`` holds a repair first released as ``fixed``, one release per maintained branch.

    Within a branch (first two numbers) the branch's own release counts; branches newer than all have it,
    branches in between or older do not.
    """
    mine = version_key(version)
    keys = [version_key(text) for text in fixed]
    for key in keys:
        if key[:2] == mine[:2]:
            return mine >= key
    return mine > max(keys)


def version_key(version: str) -> tuple[int, int, int, int, int]:
    """``"1.4.0-rc.3"`` -> (1, 4, 0, 0, 3); a release sorts after its candidates: ``"1.4"`` -> (1, 4, 0, 1, 0)."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:[-~]rc\.?(\d+))?", version)
    if match is None:
        return (0, 0, 0, 0, 0)
    major, minor, patch, candidate = match.groups()
    if candidate is not None:
        return int(major), int(minor), int(patch or 0), 0, int(candidate)
    return int(major), int(minor), int(patch or 0), 1, 0
