"""Interactive panels: one idea each, controls around a live figure, the same by hand and from Python.

chart.py holds a figure's data, live_figure.py and .js draw it, base.py makes a panel of controls and figure, trainer.py
adds a run that can be paused. The other files are the panels of the course. Import them by name:
nothing here is imported for you, so that a chart costs no widget.
"""
