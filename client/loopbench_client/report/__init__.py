"""A comparison as one HTML page that needs nothing but itself: :func:`write_report`."""

from loopbench_client.report.model import Claim, Report
from loopbench_client.report.page import check_report, write_report

__all__ = ["Claim", "Report", "check_report", "write_report"]
