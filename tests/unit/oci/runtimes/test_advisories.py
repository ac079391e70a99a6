# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which installed runtimes have a known way out: by upstream's version, or by what a distribution repaired."""

import pytest

from covirt.oci.runtimes.advisories import Package, at_least_one_of, judge_package, version_key

LEAKY_VESSELS = "CVE-2024-21626"
MASKED_PATHS = ("CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881")
BRANCHES = ("1.2.8", "1.3.3", "1.4.0-rc.3")


def package(version: str, *repairs: str, name: str = "runc") -> Package:
    return Package(name=name, version=version, named_repairs=frozenset(repairs))


@pytest.mark.parametrize(
    ("version", "repaired"),
    [
        ("1.1.15", False),  # an abandoned branch
        ("1.2.7", False),
        ("1.2.8", True),
        ("1.2.10", True),
        ("1.3.0", False),
        ("1.3.3", True),
        ("1.4.0-rc.2", False),
        ("1.4.0-rc.3", True),
        ("1.4.0", True),
        ("1.5.0", True),
        ("2.0.0", True),
        ("unknown", False),
    ],
)
def test_a_repair_counts_per_branch(version: str, repaired: bool) -> None:
    assert at_least_one_of(version, BRANCHES) is repaired


def test_versions_sort_as_released() -> None:
    shuffled = ["1.10", "1.2.0", "1.1.12", "1.2.0-rc.3", "1.1.5+ds1", "1.2.0-rc.1"]
    released = ["1.1.5+ds1", "1.1.12", "1.2.0-rc.1", "1.2.0-rc.3", "1.2.0", "1.10"]
    assert sorted(shuffled, key=version_key) == released


@pytest.mark.parametrize("version", ["1.1.11", "1.1.5", "1.0.3"])
def test_leaky_vessels_makes_upstreams_runc_unusable(version: str) -> None:
    reason = judge_package("runc", version, None).reason
    assert reason is not None
    assert LEAKY_VESSELS in reason
    assert "1.1.12" in reason


def test_upstreams_runc_with_the_escapes_of_2025_is_unusable() -> None:
    reason = judge_package("runc", "1.2.5", None).reason
    assert reason is not None
    assert all(name in reason for name in MASKED_PATHS)


def test_upstreams_present_releases_are_clean() -> None:
    for kind, version in (("runc", "1.4.3"), ("runc", "1.3.6"), ("crun", "1.28"), ("crun", "1.29.1")):
        judgement = judge_package(kind, version, None)
        assert judgement.reason is None
        assert judgement.warnings == ()


@pytest.mark.parametrize(
    ("kind", "version", "installed"),
    [
        ("runc", "1.1.5+ds1", package("1.1.5+ds1-1+deb12u1", LEAKY_VESSELS)),
        ("runc", "1.1.5+ds1", package("1.1.5+ds1-1+deb12u1")),  # documentation not installed
        ("runc", "1.1.5+ds1", package("1.1.5+ds1-1+deb12u2")),
        ("runc", "1.1.15+ds1", package("1.1.15+ds1-2")),
        ("crun", "1.8.1", package("1.8.1-1+deb12u1", name="crun")),
        ("crun", "1.21", package("1.21-1", name="crun")),
    ],
    ids=lambda value: value.version if isinstance(value, Package) else "",
)
def test_debians_stable_packages_are_usable(kind: str, version: str, installed: Package) -> None:
    assert judge_package(kind, version, installed).reason is None


def test_what_a_package_does_not_say_to_repair_is_a_warning() -> None:
    (warning,) = judge_package("runc", "1.1.5+ds1", package("1.1.5+ds1-1+deb12u1", LEAKY_VESSELS)).warnings
    assert all(name in warning for name in MASKED_PATHS)
    assert "user namespace" in warning


def test_a_package_that_names_its_repairs_is_clean() -> None:
    judgement = judge_package("runc", "1.1.5+ds1", package("1.1.5+ds1-1+deb12u3", LEAKY_VESSELS, *MASKED_PATHS))
    assert judgement.reason is None
    assert judgement.warnings == ()


@pytest.mark.parametrize("version", ["1.1.5+ds1-1", "1.1.4+ds1-1+deb12u1"])
def test_an_old_package_is_unusable(version: str) -> None:
    reason = judge_package("runc", version.partition("-")[0], package(version)).reason
    assert reason is not None
    assert LEAKY_VESSELS in reason
    assert version in reason


def test_programs_without_advisories_are_not_judged() -> None:
    assert judge_package("youki", "0.1", None).reason is None
