"""Code as users write it, spread over several modules. None of it knows of wengert."""
