"""Recover a sparse complex signal from a blurred, noisy recording, by gradients with respect to complex arrays.

The recording is the signal convolved with a known pulse (a product of Fourier transforms) plus noise. The penalty
Σ √(|x|² + ε²) favours few echoes. By the default convention the gradient of a real loss with respect to complex x is
∂L/∂Re x + i ∂L/∂Im x, the direction of steepest ascent, so `x - rate * gradient` descends as it does for reals.
"""

import numpy as np

import wengert as wg


def blur(x, pulse):
    return np.fft.ifft(np.fft.fft(x) * np.fft.fft(pulse))


def loss(x, pulse, recording, weight, eps=1e-3):
    misfit = np.sum(np.abs(blur(x, pulse) - recording) ** 2)
    return 0.5 * misfit + weight * np.sum(np.sqrt(np.abs(x) ** 2 + eps**2))


def main():
    rng = np.random.default_rng(0)
    n = 256
    t = np.arange(n)
    pulse = np.exp(-0.5 * ((t - 8) / 2.0) ** 2) * np.exp(0.9j * t)
    pulse /= np.linalg.norm(pulse)
    true = np.zeros(n, complex)
    places = np.array([30, 37, 90, 150, 161, 220])
    true[places] = (1 + rng.uniform(size=6)) * np.exp(2j * np.pi * rng.uniform(size=6))
    recording = blur(true, pulse) + 0.01 * (rng.normal(size=n) + 1j * rng.normal(size=n))

    value_and_grad = wg.value_and_grad(loss)
    x, h = 0.1 * (rng.normal(size=n) + 1j * rng.normal(size=n)), 1e-6
    gradient = value_and_grad(x, pulse, recording, 0.02)[1]
    for name, unit in (("real", 1.0), ("imaginary", 1.0j)):
        e = np.zeros(n, complex)
        e[3] = h * unit
        differences = (loss(x + e, pulse, recording, 0.02) - loss(x - e, pulse, recording, 0.02)) / (2 * h)
        exact = getattr(gradient[3], "real" if unit == 1.0 else "imag")
        print(f"∂loss/∂({name} part of x₃) {exact:+.8f}, central differences {differences:+.8f}")
        assert abs(exact - differences) < 1e-6

    x = np.zeros(n, complex)
    rate = 1 / (np.max(np.abs(np.fft.fft(pulse))) ** 2 + 0.02 / 1e-2)
    before = momentum = x
    for step in range(1, 3001):  # Nesterov (1983)
        value, gradient = value_and_grad(momentum, pulse, recording, 0.02, 1e-2)
        x, before = momentum - rate * gradient, x
        momentum = x + (step - 1) / (step + 2) * (x - before)
        if step in (1, 10, 100, 1000, 3000):
            print(f"step {step:4d}: loss {value:.5f}")
    found = np.sort(np.argsort(np.abs(x))[-6:])
    print(f"echoes found at {found}, true places {places}")
    phase = np.abs(np.angle(x[found] / true[found])).max() if np.array_equal(found, places) else np.inf
    print(f"largest error of a phase: {phase:.3f} rad")
    assert phase < 0.2


if __name__ == "__main__":
    main()
