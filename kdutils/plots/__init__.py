"""From results to figures: one look, one sentence under each, readable with and without a browser."""

from kdutils.plots.base import (
    Plot,
    Table,
    claims_table,
    digit_gallery,
    paper_and_us,
    percent,
    provenance,
    rounded,
    scales,
)
from kdutils.plots.static import bundle
from kdutils.plots.style import COLOURS, DASHES, base_layout, title_fonts

__all__ = ["COLOURS", "DASHES", "Plot", "Table", "base_layout", "bundle", "claims_table", "digit_gallery",
           "paper_and_us", "percent", "provenance", "rounded", "scales", "title_fonts"]
