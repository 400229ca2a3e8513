import math


def area(x):
    return math.pi * math.sqrt(x[0] ** 2 + x[1] ** 2)
