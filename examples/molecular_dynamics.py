"""Molecular dynamics of a Lennard-Jones cluster: forces by `GradientTape`, normal modes from a Hessian.

The tape is TensorFlow's: watch, compute, ask for the gradient. The velocity Verlet integrator keeps the energy
to within the square of its step if, and only if, the forces are the exact gradient of the potential.
"""

import numpy as np

import wengert as wg


def potential(x):
    """Of particles at x, shape (n, 3), in reduced units."""
    i, j = np.triu_indices(len(x), k=1)
    r2 = np.sum((x[i] - x[j]) ** 2, axis=1)
    s6 = 1.0 / r2**3
    return np.sum(4.0 * (s6 * s6 - s6))


def forces(x):
    with wg.GradientTape() as tape:
        watched = tape.watch(x)
        u = potential(watched)
    return -tape.gradient(u, watched), wg.stop_gradient(u)


def main():
    rng = np.random.default_rng(0)
    golden = (1 + 5**0.5) / 2
    icosahedron = np.array([(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)], float)
    x = np.concatenate([np.zeros((1, 3)), *(np.roll(icosahedron, k, axis=1) for k in range(3))]) * 0.57
    f, u = forces(x)

    e, h = np.zeros_like(x), 1e-6
    e[4, 1] = h
    differences = -(potential(x + e) - potential(x - e)) / (2 * h)
    print(f"force on particle 4 along y {f[4, 1]:+.8f}, central differences {differences:+.8f}")
    assert abs(f[4, 1] - differences) < 1e-6 * max(1.0, abs(differences))

    for _ in range(400):  # relax to the icosahedron of 13 particles, the global minimum
        f, u = forces(x)
        x = x + 1e-3 * np.clip(f, -10, 10)
    print(f"relaxed 13-particle cluster: energy {u:.6f} (Wales & Doye 1997: -44.326801)")
    assert abs(u + 44.326801) < 1e-5

    hessian = wg.hessian(potential)(x).reshape(x.size, x.size)
    frequencies2 = np.linalg.eigvalsh(hessian)
    still = int(np.sum(np.abs(frequencies2) < 1e-3))
    print(
        f"normal modes: {still} of zero frequency (translations and rotations), highest {np.sqrt(frequencies2[-1]):.3f}"
    )
    assert still == 6 and frequencies2[6] > 1.0

    v = 0.3 * rng.normal(size=x.shape)
    v -= v.mean(axis=0)
    f, u = forces(x)
    start, drift, step = u + 0.5 * np.sum(v**2), 0.0, 2e-3
    for _ in range(1000):
        v += 0.5 * step * f
        x = x + step * v
        f, u = forces(x)
        v += 0.5 * step * f
        drift = max(drift, abs(u + 0.5 * np.sum(v**2) - start))
    print(f"1000 steps of velocity Verlet: energy {start:.5f}, largest deviation {drift:.1e}")
    assert drift < 1e-3 * abs(start)


if __name__ == "__main__":
    main()
