"""Memory before anything runs: what a function will hold, eagerly and compiled."""
