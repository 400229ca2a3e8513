"""Structured control flow: loops and branches whose bodies are Programs, and the functions that make them.

    scan            a known number of trips, with arrays to read from and to write to, element by element
    while_loop      as many trips as a predicate asks for
    while_pullback  its pullback: the loop once more, with what the way back needs on a stack, and the way back
    switch          one of several Programs, by number

Each is an op whose parameters are Programs. Their rules make Programs of Programs, and are ops of this list again, so that modes
compose in any order.
"""
