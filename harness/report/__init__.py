"""The report of one or several experiments: Markdown, one HTML page, tables, figures and maps."""

from harness.report.writer import ReportFiles, write_report

__all__ = ["ReportFiles", "write_report"]
