# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``--second-try``: a failed test is run once more, and both results are told.

A whole run shares its machine. What fails once and then passes does not fail the change under test, but
it is named at the end with its first failure, for it is a bug of the test or worse. (The plugin pytest-rerunfailures
wants a TCP connection between pytest's processes, which here have networks of their own.)
"""

import faulthandler

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key, get_timeout_config_value
from _pytest.runner import runtestprotocol
from xdist.scheduler import LoadScopeScheduling

_RERUN = "rerun"
_CRASHED: set[str] = set()
_SECOND = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--second-try", action="store_true", help="run a failed test once more")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    if not item.config.getoption("--second-try") or _SECOND in item.stash:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if not any(report.failed for report in reports):
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
    for report in reports:
        if report.failed:
            report.outcome = _RERUN  # type: ignore[assignment]  # a word of ours, see pytest_report_teststatus
            item.ihook.pytest_runtest_logreport(report=report)
    item._initrequest()  # type: ignore[attr-defined]  # as pytest does itself between two runs of one item
    item.stash[_SECOND] = True
    # Through the hook and not runtestprotocol(): its wrappers set the time limits anew, the first try used them up.
    item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)
    return True


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """pytest ends its guard here for the sake of a debugger; a teardown that hangs after a failure needs it still."""
    config = node.config
    seconds = get_timeout_config_value(config)
    if isinstance(node, pytest.Item) and seconds > 0 and not config.getoption("usepdb"):
        faulthandler.dump_traceback_later(seconds, exit=True, file=config.stash[fault_handler_stderr_fd_key])


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: LoadScopeScheduling) -> None:
    """A test that ended its process (a hang does, see faulthandler_timeout): pytest-xdist runs it again by itself."""
    if sched.config.getoption("--second-try") and crashitem not in _CRASHED:
        _CRASHED.add(crashitem)
        report.outcome = _RERUN  # type: ignore[assignment]


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    return (_RERUN, "R", "RERUN") if str(report.outcome) == _RERUN else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get(_RERUN, [])
    if not reports:
        return
    terminalreporter.section("failed once, and were run again")
    for report in reports:
        terminalreporter.write_sep("_", f"{report.nodeid} ({report.when})")
        terminalreporter.write_line(report.longreprtext)
