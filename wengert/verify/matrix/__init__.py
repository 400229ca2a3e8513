"""The coverage matrix: every op in every mode, dtype and layout, executed; as data, page, Markdown, table and diff."""

from wengert.verify.matrix.baseline import compact, expand
from wengert.verify.matrix.comparison import compare
from wengert.verify.matrix.execution import failures, reproduce, run
from wengert.verify.matrix.markdown import markdown
from wengert.verify.matrix.page import page
from wengert.verify.matrix.terminal import terminal

__all__ = ["compact", "compare", "expand", "failures", "markdown", "page", "reproduce", "run", "terminal"]
