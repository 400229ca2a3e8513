"""JAX and PyTorch as oracles: every op and name of ours that they have too, on our samples; and where conventions differ.

`cross_check()` compares, `report.table(rows)` shows. Both peers are optional (`pip install 'wengert[peers]'`).
"""

from wengert.verify.oracles.peers.crosscheck import Row, cross_check, totals

__all__ = ["Row", "cross_check", "totals"]
