"""kdutils: the helper package of an interactive course on knowledge distillation."""

__version__ = "0.1.0"
