"""The page of a repair: what held before and after, what each method does to the pictures, and what was changed."""

from shiftproof.report.repair.page import render_repair, write_repair_page

__all__ = ["render_repair", "write_repair_page"]
