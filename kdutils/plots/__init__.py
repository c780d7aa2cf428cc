"""From results to figures: one look, one sentence under each, readable with and without a browser."""

from kdutils.plots.base import Plot, Table, claims_table, digit_gallery, paper_and_us
from kdutils.plots.dark_knowledge import gain_by_temperature, learning_curves, omitted_digit, whose_labels
from kdutils.plots.static import bundle
from kdutils.plots.style import COLOURS, DASHES, base_layout, title_fonts
from kdutils.plots.subclass_distillation import (
    click_curves,
    controls,
    demo_curves,
    demo_table,
    discovery,
    few_labels,
    learning_speed,
    subclasses_used,
)
from kdutils.plots.tolerant_teachers import (
    ensembles,
    generations,
    inside_groups,
    linear_probe,
    pay_and_gain,
    where_the_mass_goes,
)

__all__ = ["COLOURS", "DASHES", "Plot", "Table", "base_layout", "bundle", "claims_table", "click_curves", "controls",
           "demo_curves", "demo_table", "digit_gallery", "discovery", "ensembles", "few_labels", "gain_by_temperature",
           "generations", "inside_groups", "learning_curves", "learning_speed", "linear_probe", "omitted_digit",
           "paper_and_us", "pay_and_gain", "subclasses_used", "title_fonts", "where_the_mass_goes", "whose_labels"]
