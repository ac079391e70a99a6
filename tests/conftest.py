# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every test: a world of its own where it needs one, a reason where it is skipped, and no trace left behind."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from covirt.common.files import remove_tree
from tests.support import world
from tests.support.leaks import LeakCheck
from tests.support.syscalls import become_subreaper

pytest_plugins = [
    "tests.support.databases",
    "tests.support.fixtures",
    "tests.support.golden",
    "tests.support.second_try",
]

_ROOT: Final = Path(__file__).resolve().parents[1]
_LAUNCH: Final = (
    f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from tests.support.launch import main; main(sys.argv[1:])"
)

# Marker -> programs that the marked test needs (Debian's packages are listed in ./dev).
_NEEDS: Final = {
    "runc": ("runc", "conmon"),
    "crun": ("crun", "conmon"),
    "qemu": ("libvirtd", "virtlogd", "qemu-system-x86_64"),
}
# Reasons that may skip a test even in ./dev ci: facts of a machine that no set-up can change.
_ALLOWED_SKIPS: Final = (
    r"this kernel ",  # what the running kernel lacks
    r"cgroup version [12] only",
    r"systemd is not running",
    r"no clients of \w+: ",  # a release that the mirror no longer has
    r"\w+ differs, ",  # what an implementation lacks by its nature: the tables in tests/contract/conftest.py
)


# A slow or busy machine is no reason to fail: examples have no deadline, only the test as a whole has one.
hypothesis.settings.register_profile(
    "covirt", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("covirt")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    if world.VARIABLE not in os.environ and not config.option.collectonly:
        _launch_again(config)
    executes_tests = hasattr(config, "workerinput") or config.getoption("dist", "no") == "no"
    if not executes_tests or config.option.collectonly:
        return
    if world.missing_reason() is None:
        world.enter_world(os.environ.get("PYTEST_XDIST_WORKER", "main"))
    else:
        become_subreaper()
        directory = tempfile.mkdtemp(prefix="covirt-tests-")
        world.use_temporary_directory(Path(directory))
        config.add_cleanup(lambda: remove_tree(Path(directory)))


def _launch_again(config: pytest.Config) -> None:
    """Start over inside a world; a plain ``pytest`` is then the same as ``./dev test``."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    sys.stdout.flush()
    arguments = [sys.executable, "-m", "pytest", *config.invocation_params.args]
    os.chdir(config.invocation_params.dir)
    os.execv(sys.executable, [sys.executable, "-c", _LAUNCH, *arguments])  # noqa: S606


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {_ROOT / "tests/integration", _ROOT / "tests/system"} & set(item.path.parents):
            item.add_marker(pytest.mark.root)


def pytest_runtest_setup(item: pytest.Item) -> None:
    reason = world.missing_reason()
    if reason is not None and item.get_closest_marker("root"):
        pytest.skip(f"no private namespaces: {reason}")
    for marker, programs in _NEEDS.items():
        if item.get_closest_marker(marker):
            missing = [program for program in programs if shutil.which(program) is None]
            if missing:
                pytest.skip(f"not installed: {', '.join(missing)} (./dev setup installs all)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.outcome == "skipped":
        _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under COVIRT_CI, a skip for a reason that is not in the table is a failure."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if "COVIRT_CI" in os.environ and not any(re.match(allowed, reason) for allowed in _ALLOWED_SKIPS):
        report.outcome = "failed"
        report.longrepr = f"unexpected skip: {reason}"


@pytest.fixture(scope="session", autouse=True)
def _session_leaves_nothing() -> Iterator[None]:
    """What fixtures of a wider scope left behind."""
    check = LeakCheck(world=world.missing_reason() is None)
    yield
    _fail_if_leaked(check, "the session's fixtures")


@pytest.fixture(autouse=True)
def _test_leaves_nothing(request: pytest.FixtureRequest, _session_leaves_nothing: None) -> Iterator[None]:
    needs_world = request.node.get_closest_marker("root") is not None
    check = LeakCheck(world=needs_world and world.missing_reason() is None)
    yield
    _fail_if_leaked(check, "the test")


def _fail_if_leaked(check: LeakCheck, culprit: str) -> None:
    if leaks := check.left_behind():
        pytest.fail(f"{culprit} left behind\n  " + "\n  ".join(leaks), pytrace=False)
