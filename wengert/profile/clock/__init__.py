"""Where the time goes: ops, pullbacks, kernels and compilation, beside what the machine could do."""
