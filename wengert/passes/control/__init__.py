"""Loops and branches: what of their bodies is dead, invariant, or better done outside."""
