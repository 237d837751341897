"""A comparison as one HTML page that needs nothing but itself: :func:`write_report`."""

from loopbench_client.report.model import Claim, Report
from loopbench_client.report.page import NAME, check_report, write_report

__all__ = ["NAME", "Claim", "Report", "check_report", "write_report"]
