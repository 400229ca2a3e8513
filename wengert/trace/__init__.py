"""Recorders of Programs, and the adoption of users' functions."""
