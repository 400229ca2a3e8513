"""Sorting and searching."""

import numpy

from wengert.verify.examples import example

TABLE = numpy.array([-1.5, -0.5, 0.0, 0.7, 1.8])
HOLES = numpy.array([0.0, numpy.nan, 0.0, numpy.nan])
TIES = numpy.array([0, 2, 1, 2, 0])  # x[TIES] has equal elements

example("sort", lambda np, x: np.sort(x), (5,), complex=True)
example("sort", lambda np, x: np.sort(x, axis=0, kind="stable"), (3, 4), complex=True)
example("sort", lambda np, x: np.sort(x, axis=None), (2, 3))
example("sort", lambda np, x: np.sort(x, axis=1, stable=True), (2, 3, 4))
example("argsort", lambda np, x: np.argsort(x), (3, 4), complex=True)


def _descending(np, name, x, axis=-1, **options):
    """The array API standard's `descending=`, which NumPy lacks: NumPy's own order, from behind."""
    if np is numpy and name == "sort":
        return np.flip(np.sort(x, axis=axis), axis)
    if np is numpy:
        return x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, stable=True), axis)
    return getattr(np, name)(x, axis=axis, descending=True, **options)


for _name in ("sort", "argsort"):
    example(_name, lambda np, x, name=_name: _descending(np, name, x), (5,), complex=True)
    example(_name, lambda np, x, name=_name: _descending(np, name, x, axis=0, stable=False), (3, 4))
    example(_name, lambda np, x, name=_name: _descending(np, name, x, axis=1, stable=True), (2, 3, 4))
example("argsort", lambda np, x: _descending(np, "argsort", np.floor(x)), (2, 40))
example("argsort", lambda np, x: np.argsort(x, axis=0, stable=True), (3, 4))
example("argsort", lambda np, x: np.argsort(x, axis=None), (3, 4))
example("ndarray.argsort", lambda np, x: x.argsort(0), (3, 4))
example("partition", lambda np, x: np.partition(x, 2), (7,), complex=True)
example("partition", lambda np, x: np.partition(x, (0, -2), axis=0), (4, 3))
example("partition", lambda np, x: np.partition(x, 3, axis=None), (4, 3))
example("argpartition", lambda np, x: np.argpartition(x, 2), (3, 7))
example("argpartition", lambda np, x: np.argpartition(x, [1, -1], axis=0), (4, 3))
example("lexsort", lambda np, x: np.lexsort(x), (2, 5))
example("lexsort", lambda np, x, y: np.lexsort((x, y), axis=0), (3, 4), (3, 4))
example("sort_complex", lambda np, x: np.sort_complex(x), (5,), complex=True)
example("searchsorted", lambda np, x: np.searchsorted(TABLE, x), (3, 4))
example("searchsorted", lambda np, x: np.searchsorted(TABLE, x, side="right"), ())
example("searchsorted", lambda np, x, v: np.searchsorted(x, v, sorter=np.argsort(x)), (5,), (3,))
example("ndarray.searchsorted", lambda np, x: np.sort(x).searchsorted(TABLE), (5,))
example("digitize", lambda np, x: np.digitize(x, TABLE), (3, 4))
example("digitize", lambda np, x: np.digitize(x, TABLE[::-1], right=True), (3, 4))
example("digitize", lambda np, x, b: np.digitize(x, np.sort(b)), (3,), (4,))

example("unique", lambda np, x: np.unique(x), (5,), batch=False, complex=True)
example("unique", lambda np, x: np.unique(x[TIES], return_inverse=True), (3,), batch=False)
example("unique", lambda np, x: np.unique(x[TIES], True, True, True), (3,), batch=False)
example("unique", lambda np, x: np.unique(x[TIES], axis=0, return_counts=True), (3, 2), batch=False)
example("unique", lambda np, x: np.unique(x * HOLES, equal_nan=False), (4,), batch=False, diff=())
example("unique_all", lambda np, x: tuple(np.unique_all(x[TIES])), (3,), batch=False)
example("unique_counts", lambda np, x: tuple(np.unique_counts(x[TIES])), (3,), batch=False)
example("unique_inverse", lambda np, x: tuple(np.unique_inverse(x[TIES])), (3,), batch=False)
example("unique_values", lambda np, x: np.unique_values(x[TIES]), (3,), batch=False)
