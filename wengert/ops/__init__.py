"""One file per family of ops; one section per op, with all of its rules."""
