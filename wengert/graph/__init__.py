"""The Wengert list as data: variables, equations, programs."""
