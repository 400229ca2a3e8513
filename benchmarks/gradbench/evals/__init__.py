"""One module per eval of the suite: its functions as `FUNCTIONS`."""

from importlib import import_module

from ..function import Function

NAMES = ("hello", "ba", "det", "gmm", "ht", "kmeans", "llsq", "lse", "lstm", "ode", "particle", "saddle")


def functions(eval: str) -> dict[str, Function]:
    """The functions of the eval `eval`. Raises KeyError for one that the suite does not have."""
    if eval not in NAMES:
        raise KeyError(f"{eval!r} is none of the evals {', '.join(NAMES)}")
    return import_module(f"{__name__}.{eval}").FUNCTIONS
