"""Checkpointing: trade the residuals of a function for running it twice.

function     the public wrapper, and what becomes of it under each trace
recording    on an eager tape: one equation, whose pullback runs the function again
replay       what the first run keeps, and how the second one is handed it
staged       in a program: a call, whose pullback is the program again
policies     what is kept
offload      values on disk
randomness   generators of random numbers, set back
surroundings what else the function finds around it
names        labels on values
sequence     functions one after the other
"""

from __future__ import annotations

from wengert.transforms.checkpoint import policies
from wengert.transforms.checkpoint.function import checkpoint
from wengert.transforms.checkpoint.names import name
from wengert.transforms.checkpoint.recording import Scratch
from wengert.transforms.checkpoint.sequence import checkpoint_sequential

__all__ = ["Scratch", "checkpoint", "checkpoint_sequential", "name", "policies"]
