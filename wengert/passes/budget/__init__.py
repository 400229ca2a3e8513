"""Memory budgets: a program that keeps fewer values than it needs, and computes the others again."""
