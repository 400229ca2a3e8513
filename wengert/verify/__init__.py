"""Evidence for derivatives: checks of ops, of NumPy's names, and of users' own functions."""
