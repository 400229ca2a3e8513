"""What the demo needs beyond the base install."""

from __future__ import annotations

from typing import Any

from wengert.core.errors import MissingExtra


def matplotlib_figure(**kwargs: Any) -> Any:
    """A figure and its axes on a backend without a window."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "demo", "the demo's plot") from None
    figure = Figure(**kwargs)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def load_digits() -> Any:
    """Scikit-learn's copy of the UCI handwritten digits: 1797 images of 8 × 8 (Alpaydin & Kaynak 1998)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtra("scikit-learn", "demo", "the demo's classifier") from None
    return load_digits()
