"""What is missing, ranked by how often real code uses it: NumPy's and SciPy's names in the sources and tests of installed packages.

    python -m wengert.verify.gaps          the table
    python -m wengert.verify.gaps --markdown docs/gaps.md

Rules of counting stand in `scan` (what is a use), `names` (which name it is of) and `aside` (what is no gap).
"""

from wengert.verify.gaps.ranking import PACKAGES, Gap, Survey, gaps, survey
from wengert.verify.gaps.table import data, markdown, terminal

__all__ = ["PACKAGES", "Gap", "Survey", "data", "gaps", "markdown", "survey", "terminal"]
