"""From results to figures: one look, one sentence under each, readable with and without a browser."""

from kdutils.plots.base import Plot, Table, claims_table, digit_gallery, paper_and_us
from kdutils.plots.dark_knowledge import gain_by_temperature, learning_curves, omitted_digit, whose_labels
from kdutils.plots.static import bundle
from kdutils.plots.style import COLOURS, DASHES, base_layout, title_fonts
from kdutils.plots.tolerant_teachers import (
    ensembles,
    generations,
    inside_groups,
    linear_probe,
    pay_and_gain,
    where_the_mass_goes,
)

__all__ = ["COLOURS", "DASHES", "Plot", "Table", "base_layout", "bundle", "claims_table", "digit_gallery", "ensembles",
           "gain_by_temperature", "generations", "inside_groups", "learning_curves", "linear_probe", "omitted_digit",
           "paper_and_us", "pay_and_gain", "title_fonts", "where_the_mass_goes", "whose_labels"]
