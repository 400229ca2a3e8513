import math

count = 0
last = None
history = []
registry = {"sin": math.sin}
memory: dict = {}


def counting(x):
    global count, last
    count += 1
    last = math.sin
    history.append(count)
    memory["calls"] = memory.get("calls", 0) + 1
    return math.sin(x[0]) * reader()


def reader():
    return float(count)


def registering(x):
    registry["cos"] = math.cos
    return registry["cos"](x[0]) * registry["sin"](x[1])


def make_counter():
    n = 0

    def step(x):
        nonlocal n
        n += 1
        return math.sin(x[0]) * n

    return step, lambda: n


def deleting(x):
    global temporary
    temporary = math.exp(x[0])
    out = temporary * 2
    del temporary
    return out


def writing_generator(x):
    def values():
        global count
        for v in x:
            count += 1
            yield math.exp(v)

    return sum(values())
