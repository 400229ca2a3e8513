"""The coverage matrix: every op in every mode, dtype and layout, executed; as data, page, Markdown, table and diff."""

from wengert.verify.matrix.execution import failures, reproduce, run

__all__ = ["failures", "reproduce", "run"]
