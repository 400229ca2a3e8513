"""How long something takes, and how sure that is: interleaved samples, robust estimates, comparisons, baselines."""
