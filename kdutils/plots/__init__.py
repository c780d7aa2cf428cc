"""From results to figures: one look, one sentence under each, readable with and without a browser."""

from kdutils.plots.figures import (
    Plot,
    claims_table,
    digit_gallery,
    gain_by_temperature,
    learning_curves,
    omitted_digit,
    whose_labels,
)
from kdutils.plots.static import bundle
from kdutils.plots.style import COLOURS, DASHES, base_layout

__all__ = ["COLOURS", "DASHES", "Plot", "base_layout", "bundle", "claims_table", "digit_gallery",
           "gain_by_temperature", "learning_curves", "omitted_digit", "whose_labels"]
