"""wengert."""
