"""Control flow whose bodies are functions: loops, branches and calls of Programs of any size.

bodies     a Program as a function, and the kernel that calls it
carries    what a loop carries, in memory
loops, pullback, branches   the kinds
places     values that are made where another one lies
"""

from __future__ import annotations

from wengert.lowering.control.bodies import Plan
from wengert.lowering.control.branches import CallPlan, SwitchPlan
from wengert.lowering.control.loops import ScanPlan, WhilePlan
from wengert.lowering.control.pullback import PullbackPlan

PLANS: dict[str, type[Plan]] = {
    "scan": ScanPlan,
    "while_loop": WhilePlan,
    "while_pullback": PullbackPlan,
    "switch": SwitchPlan,
    "call": CallPlan,
}

__all__ = ["PLANS"]
