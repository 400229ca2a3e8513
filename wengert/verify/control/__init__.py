"""Programs with loops and branches by name, as rows of the matrix and as cases of tests.

plain         the functions of control flow as Python's own loops and branches
constructs    the programs
rows          the same as ops are to the checks
"""
