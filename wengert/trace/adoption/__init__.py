"""Adoption: a user's function run with its names for NumPy, SciPy and math bound to ours (see `trace/adopt.py`).

bindings      what replaces what
territory     whose code is the user's
footprint     the names that a code object reads and writes
counterparts  what stands for what: weak tables between originals and adopted objects
scopes        the globals of a user's module, with replacements
survey        walk from an object through all it reaches; rebuild what needs it
functions, classes, instances, containers, wrappers   one kind of object each
"""
