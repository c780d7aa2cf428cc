"""Widgets side by side."""


def row_of(look: str, children):
    """Widgets side by side; look: CSS classes."""
    import ipywidgets as widgets

    row = widgets.Box(list(children))
    for name in look.split():
        row.add_class(name)
    return row
