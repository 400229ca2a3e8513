"""A tool for the GradBench suite: its twelve evals in NumPy, their derivatives by wengert."""
