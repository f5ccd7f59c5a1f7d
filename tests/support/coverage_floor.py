"""Branch coverage of the packages that hold the promises, and the floor that each must keep.

As a pytest plugin (`PYTEST_PLUGINS=tests.support.coverage_floor`, which workers inherit) it measures while tests of
FOLDERS run in pytest's own process: to trace all tests would cost more than it tells. As a program it combines what the
processes of a run measured and fails when a package is below its floor.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage
from coverage.exceptions import NoDataError

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "laurels"
DATA = ROOT / ".coverage"
FLOORS = {"domain": 94, "ledger/write": 90, "ranking": 88, "live": 94, "app": 62}
"""Percent of lines and branches: what the tests of FOLDERS reach, less one for branches that depend on timing."""
FOLDERS = tuple(
    f"tests/{folder}"
    for folder in ("app", "domain", "ledger/write", "live", "ranking", "web/api/test_authorization.py")
)


def _coverage(*, data_suffix: bool = False) -> Coverage:
    packages = [f"{SOURCE}/{package}/*" for package in FLOORS]
    return Coverage(str(DATA), data_suffix, branch=True, include=packages)


class Measurement:
    """Traces from here, before conftest.py imports the service, to the end of collection; then the tests of FOLDERS."""

    def __init__(self) -> None:
        self._coverage = _coverage(data_suffix=True)
        self._coverage.start()

    def pytest_configure(self, config: pytest.Config) -> None:
        if not hasattr(config, "workerinput") and getattr(config.option, "numprocesses", None):
            self._coverage.stop()  # the process that hands out tests runs none

    def pytest_collection_finish(self) -> None:
        self._coverage.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if not item.nodeid.startswith(FOLDERS):
            return (yield)
        self._coverage.start()
        try:
            return (yield)
        finally:
            self._coverage.stop()

    def pytest_sessionfinish(self) -> None:
        self._coverage.save()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.register(Measurement(), "coverage-measurement")


def main() -> int:
    """Combine, report the uncovered lines with --missing, and return 1 when a package fell below its floor."""
    coverage = _coverage()
    try:
        coverage.combine(strict=True)
    except NoDataError:
        coverage.load()
    fallen = 0
    for package, floor in FLOORS.items():
        reached = _percent(coverage, package)
        print(f"  {package:14} {reached:5.1f} % of lines and branches (floor {floor} %)")
        if reached < floor:
            fallen = 1
            print(f"  ^ laurels/{package} fell below its floor: test what is new, or delete what nothing reaches.")
    print("  Uncovered: .venv/bin/coverage report -m --include='*/domain/*'")
    return fallen


def _percent(coverage: Coverage, package: str) -> float:
    with Path("/dev/null").open("w") as nowhere:
        try:
            return coverage.report(include=[f"{SOURCE}/{package}/*"], file=nowhere)
        except NoDataError:
            return 0.0


if __name__ == "__main__":
    sys.exit(main())
