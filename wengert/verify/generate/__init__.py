"""Generated tests: legal calls of every op, and random programs, from one source of choices."""
