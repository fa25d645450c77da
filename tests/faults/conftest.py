"""Prints, at the end of a run, what each fault did."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; a run with xdist shows it when this folder was named."""
    told = [
        str(value)
        for report in terminalreporter.getreports("passed")
        for name, value in getattr(report, "user_properties", ())
        if name == "fault"
    ]
    if told:
        terminalreporter.section("faults")
        for line in told:
            terminalreporter.write_line(line)
