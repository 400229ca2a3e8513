"""A test of the checks themselves: wrong rules are put into ops, and every one must be caught.

wrong.py    mistakes that people make, applied from outside: a sign, a factor, an axis, a dropped term, …
edited.py   small edits of a rule's own source: sum for difference, a factor left out, another axis, …
hunt.py     puts them in, one at a time, runs the checks, and counts
"""

from wengert.verify.mutants.hunting import PER_OP, Mutant, hunt, terminal

__all__ = ["PER_OP", "Mutant", "hunt", "terminal"]
