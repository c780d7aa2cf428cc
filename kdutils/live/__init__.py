"""Interactive panels: one idea each, controls around a live figure, the same by hand and from Python.

chart.py holds a figure's data, live_figure.py and .js draw it. control.py has what a reader can change; panel.py makes
a panel of controls and figure. runner.py runs, in a thread, what work.py describes; training_panel.py puts a panel
around it. curves.py has what labs draw alike. Import them by name: nothing here is imported for you, so that a chart
costs no widget.
"""
