"""pytest plugin for the array API suite: bodies of tests inside a derivative, and outcomes as JSON.

Environment: WENGERT_SUITE_MODE ("grad" or "jvp" put bodies into a trace), WENGERT_SUITE_OUT (the file to write).
"""

from __future__ import annotations

import collections
import json
import os
from pathlib import Path
from typing import Any

import pytest

MODE = os.environ.get("WENGERT_SUITE_MODE", "")
TRACED = MODE in ("grad", "jvp")
OUTCOMES: dict[str, dict[str, str]] = {}
COUNTS: collections.Counter[str] = collections.Counter()

if TRACED:
    import connected

    connected.install()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    if not TRACED:
        return
    wrapped: set[int] = set()
    for item in items:
        handle = getattr(item.obj, "hypothesis", None)
        if handle is None:
            item.obj = connected.wrap(item.obj, MODE)
        elif id(handle) not in wrapped:  # parametrized tests share their function
            wrapped.add(id(handle))
            handle.inner_test = connected.wrap(handle.inner_test, MODE)


def pytest_runtest_logreport(report: Any) -> None:
    """One outcome per test: a failure in setup or teardown counts as one."""
    if report.failed or (report.when == "call") or (report.when == "setup" and report.skipped):
        known = OUTCOMES.get(report.nodeid)
        if known is None or known["outcome"] != "failed":
            OUTCOMES[report.nodeid] = {"outcome": report.outcome, "reason": reason(report)}


def reason(report: Any) -> str:
    """The error's own line, or why the test was skipped."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message)[:2000] if crash is not None else str(report.longrepr or "")[-2000:]


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        OUTCOMES[report.nodeid] = {"outcome": "failed", "reason": str(report.longrepr)[-2000:]}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    """A worker of pytest-xdist hands over its counts."""
    COUNTS.update(getattr(node, "workeroutput", {}).get("wengert_counts", {}))


def pytest_sessionfinish(session: Any) -> None:
    here = dict(connected.counts) if TRACED else {}
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["wengert_counts"] = here
        return
    COUNTS.update(here)
    if out := os.environ.get("WENGERT_SUITE_OUT"):
        Path(out).write_text(json.dumps({"tests": OUTCOMES, "counts": COUNTS}))
