"""The checker of users' functions: `check_grads`.

check.py       the order of the checks
subject.py     the user's function on flat lists
suspicion.py   the fast check: random projections
columns.py     the full check, column by column
comparison.py  ours against the reference
diagnosis.py   what a difference means; patterns.py: what it looks like
structure.py   identities that hold of any derivative
blame.py       the op or custom rule that is wrong
report.py      what is told; target.py: what the command line names
"""
