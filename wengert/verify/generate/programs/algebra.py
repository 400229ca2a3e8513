"""Instructions of linear algebra, contractions, Fourier transforms, and `wengert.nn`'s layers."""

from __future__ import annotations

from wengert.verify.generate.programs.scope import Scope
from wengert.verify.generate.programs.slots import Slots, table

CONTRACT = table("""
    {x} @ {map}
    np.dot({x}, {map})
    np.inner({x}, {mate})
    np.einsum('...i,...i->...', {x}, {x})
    np.einsum('...i,...j->...ij', {x}, {line})
    np.einsum('...i,ij->...j', {x}, {map})
    np.einsum('...i->...', {x})
    np.einsum('i...->...i', {x})
    np.einsum('...a,...b,...b->...a', {x}, {mate}, {line}, optimize=True)
    np.einsum({x}, [..., 0], {line}, [0], [...])
    np.tensordot({x}, {map}, axes=1)
    np.tensordot({x}, {mate}, axes=([-1], [-1]))
    np.outer({x}, [0.5, -1.0])
    np.vdot({x}, {x} * 0.5)
    np.vecdot({x}, {line})
    np.kron({x}, [0.5, -1.0])
    np.linalg.multi_dot([np.atleast_2d({x}.reshape(-1, {last})), {map}, {map}.T])
    np.matvec({map}.T, {x})
    np.linalg.outer(np.ravel({x})[:3], np.ravel({x})[-2:])
    {line} @ np.swapaxes(np.atleast_2d({x}), -1, -2)
""")
CONTRACT_TWO = table("""
    {x} @ np.swapaxes({x}, -1, -2)
    np.matmul(np.swapaxes({x}, -1, -2), {x})
    np.einsum('...ij,...kj->...ik', {x}, {x})
    np.einsum('...ij->...ji', {x})
    np.einsum('...ij,...ij', {x}, {x})
    {column} @ {x}
    {x} @ {x}[..., :1, :].swapaxes(-1, -2)
    np.einsum('...ij,j->...i', {x}, {line})
    np.vecmat({column}, {x})
""")
CONTRACT_SQUARE = table("""
    np.einsum('...ii->...', {x})
    np.einsum('...ii->...i', {x})
    np.linalg.matrix_power({x}, 3)
    np.einsum('...ij,...jk,...ki->...', {x}, {x}, {x})
    {x} @ {x}
    {x} @ {x}[..., 0]
""")


def contract(s: Scope) -> str | None:
    x = s.array(kind="fc" if s.choices.chance(0.2) else "f")
    if x is None:
        return None
    v = s[x]
    tables = [CONTRACT]
    if v.ndim > 1:
        tables += [CONTRACT_TWO] + [CONTRACT_SQUARE] * (v.shape[-1] == v.shape[-2])
    return Slots(s, x).pick(*tables)


# ── linear algebra ────────────────────────────────────────────────────────────

# {far} is rectangular. Where bases of subspaces come in, only what does not depend on their choice is taken.
RECTANGULAR = table("""
    np.linalg.svd({far}, compute_uv=False)
    np.linalg.svdvals({far})
    np.linalg.pinv({far})
    np.linalg.norm({far}, axis=(-2, -1))
    np.linalg.norm({far}, ord='nuc', axis=(-2, -1))
    np.linalg.norm({far}, ord=2, axis=(-2, -1))
    np.linalg.norm({x}, ord=1, axis=(-2, -1))
    np.linalg.qr({far}).R
    np.linalg.qr({far}, mode='r')
    (lambda q, r: q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :])(*np.linalg.qr({tall}))
    (lambda u, t, vh: (u * np.tanh(t)[..., None, :]) @ vh)(*np.linalg.svd({far}, full_matrices=False))
    np.linalg.lstsq({tall}[(0,) * ({ndim} - 2)], np.ones({longer}))[0]
""")
# {a} is symmetric positive definite and square, {x} fits to its right
DEFINITE = table("""
    np.linalg.solve({a}, {x})
    np.linalg.solve({a}, np.ones(({m}, 1)))
    np.linalg.inv({a})
    0.1 * np.linalg.det({a})
    np.linalg.slogdet({a})[1]
    np.linalg.slogdet({a}).logabsdet
    np.linalg.cholesky({a})
    np.linalg.cholesky({a}, upper=True)
    np.linalg.eigvalsh({a})
    np.linalg.eigvalsh({a}, UPLO='U')
    (lambda w, q: (q * np.sqrt(w)[..., None, :]) @ np.conj(np.swapaxes(q, -1, -2)))(*np.linalg.eigh({a}))
    np.abs(np.linalg.eigh({a}).eigenvectors) ** 2
    np.sum(np.linalg.eigvals({a}) ** 2, axis=-1).real
    (lambda w, q: (q * np.exp(-w)[..., None, :]) @ np.linalg.inv(q))(*np.linalg.eig({a})).real
    np.log(np.linalg.cond({a}))
    np.linalg.matrix_power({a}, -1)
    np.linalg.pinv({a}, hermitian=True)
    np.linalg.tensorinv({a}, ind=1)
    np.linalg.tensorsolve({a}, np.arange(1.0, {m} + 1.0))
    np.linalg.solve({a}, {a} * 0.5)
""")
SCIPY = table("""
    linalg.expm(-{a} * 0.2)
    linalg.solve({a}, {x}, assume_a='pos')
    linalg.solve_triangular(np.linalg.cholesky({a}), {x}, lower=True)
    linalg.cho_solve(linalg.cho_factor({a}), {x})
    linalg.sqrtm({a})
    linalg.logm({a})
    linalg.det({a}) * 0.1
    linalg.inv({a})
    linalg.cholesky({a}, lower=True)
    linalg.lu_solve(linalg.lu_factor({a}), {x})
    linalg.eigvalsh({a})
    linalg.norm({x})
    linalg.block_diag({a}, {x})
    linalg.svdvals({a})
    linalg.solve_sylvester({a}, {a}.T, {a} @ {a})
    linalg.toeplitz({a}[0])
""")


def matrix(s: Scope) -> str | None:
    """Functions of a matrix or a stack of them: of any, or of a positive definite one made from it."""
    x = s.any(lambda v: v.ndim in (2, 3) and v.shape[-1] * v.shape[-2] <= 12)
    if x is None:
        return None
    m, n = s[x].shape[-2:]
    if s.choices.chance(0.3):
        far = f"({x} + np.eye({m}, {n}) * np.arange(2.0, {n}.0 + 2.0))"  # no two singular values alike, even of zeros
        tall = far if m >= n else f"np.swapaxes({far}, -1, -2)"
        return Slots(s, x, far=far, tall=tall, longer=max(m, n)).pick(RECTANGULAR)
    z = f"({x} * (1.0 + 0.5j))" if "complex" in s.story.allowed and s.choices.chance(0.2) else x
    right = f"np.conj(np.swapaxes({z}, -1, -2))" if z != x else f"np.swapaxes({x}, -1, -2)"
    a = s.bind(f"{z} @ {right} + np.diag({s.weights((m,)).replace('np.cos', 'np.exp')} + 1.0)")
    if a is None:
        return None
    tables = [DEFINITE] + [SCIPY] * ("special" in s.story.allowed and s[a].ndim == 2)
    return Slots(s, x, a=a, m=m).pick(*tables)


# ── Fourier transforms ────────────────────────────────────────────────────────

FOURIER = table("""
    np.fft.fft({x}, axis={axis})
    np.fft.fft({x}, n={count}, axis={axis}, norm='ortho')
    np.fft.ifft({x}, axis={axis}, norm='forward')
    np.fft.ifft({x}, n={count}, axis={axis})
    np.fft.fftn({x})
    np.fft.ifftn({x}, norm='ortho')
    np.fft.fftshift({x}, axes={axis})
    np.fft.ifftshift({x})
    np.abs(np.fft.fft({x}, axis={axis})) ** 2
    np.fft.hfft({x}, n=4, axis={axis})
    np.fft.irfft({x}, n={count}, axis={axis})
""")
FOURIER_REAL = table("""
    np.fft.rfft({x}, axis={axis})
    np.fft.rfft({x}, n={count}, axis={axis}, norm='ortho')
    np.fft.ihfft({x}, axis={axis})
    np.fft.rfftn({x})
    np.fft.irfft(np.fft.rfft({x}, axis={axis}) * 0.5, n={n}, axis={axis})
    np.abs(np.fft.rfft({x}, axis={axis})[..., :2]) ** 2
""")
FOURIER_TWO = table("""
    np.fft.fft2({x})
    np.fft.ifft2({x}, axes=(0, -1))
    np.fft.irfft2({x}, s=(2, 3))
""")


def fourier(s: Scope) -> str | None:
    x = s.array(kind="fc")
    if x is None:
        return None
    v = s[x]
    return Slots(s, x).pick(FOURIER, FOURIER_REAL if v.dtype.kind == "f" else (), FOURIER_TWO if v.ndim > 1 else ())


# ── layers ────────────────────────────────────────────────────────────────────

LAYER = table("""
    nn.layer_norm({x} + {const}, eps=0.1)
    nn.rms_norm({x}, {last}, {line}, eps=0.1)
    nn.conv1d({x}, {kernel}, padding=1)
    nn.conv1d({x}, {kernel}, [0.3, -0.5], stride=2, padding=2, dilation=1)
    nn.conv_transpose1d({x}, {transposed}, stride=2)
    nn.max_pool1d({x}, 2, 1, padding=1)
    nn.max_pool1d({x}, 1)
    nn.avg_pool1d({x}, 2, 1, padding=1)
    nn.adaptive_avg_pool1d({x}, 2)
    nn.adaptive_max_pool1d({x}, 1)
    nn.linear({x}, {map}.T)
    nn.scaled_dot_product_attention({x}, {x} * 0.5, np.sin({x}))
    nn.normalize({x} + 0.1, axis=-1)
    nn.glu(np.concatenate([{x}, {x} * 0.3], axis=-1), -1)
    nn.cosine_similarity({x} + 1.5, {line}, axis=-1)
    nn.embedding([0, -1, 0], {x})
    nn.softmin({x}, axis=-1)
    nn.instance_norm(np.atleast_3d({x}) + np.arange({first}.0).reshape(-1, 1, 1), eps=0.1)
""")
LOSS = table("""
    nn.cross_entropy({x}, np.arange({first}) % {last})
    nn.cross_entropy({x}, np.arange({first}) % {last}, label_smoothing=0.1)
    nn.nll_loss({x}, np.arange({first}) % {last}, reduction='sum')
    nn.pairwise_distance({x}, {const})
""")


def layer(s: Scope) -> str | None:
    x = s.any(lambda v: v.ndim in (2, 3))
    if x is None:
        return None
    c, d = s[x].shape[-2:]
    slots = Slots(s, x, kernel=s.weights((2, c, min(2, d))), transposed=s.weights((c, 2, 2)))
    return slots.pick(LAYER, LOSS if s[x].ndim == 2 else ())
