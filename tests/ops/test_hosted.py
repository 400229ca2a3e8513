"""Ops that compiled code runs by their `eval`: the list is here so that a change of it shows."""

from __future__ import annotations

from typing import Any

from wengert.core.form import HostCall

HOSTED = """
_factorial _lambertw _lgam1p _log1pmx _riemann_zeta _scaled_exp1 _spherical_in _spherical_jn _spherical_kn
_spherical_yn _zeta agm airy airye airye_far argpartition as_complexes as_reals bdtr bdtrc bdtri bdtrik bdtrin bei
beip ber berp bessel_i besselpoly beta beta_density betainc betainc_in betaincc betainccinv betaincinv betaln binom
btdtria btdtrib carlson chdtr chdtrc chdtri chdtriv chndtr chndtrinc chndtrix convolve cosdg cotdg cylinder_far dawsn
dawsn_derivative dct det_second digamma_difference dropout dst eig ellipe ellipeinc ellipj ellipk
ellipkinc ellipkm1 elliprc elliprd elliprf elliprg elliprj erfcinv  erfcx_derivative erfi erfinv eval_chebyc
eval_chebys eval_chebyt eval_chebyu eval_gegenbauer eval_genlaguerre eval_hermite eval_hermitenorm eval_jacobi
eval_laguerre eval_legendre eval_sh_chebyt eval_sh_chebyu eval_sh_jacobi eval_sh_legendre exp1 expi expm expm_frechet
expn exponential_moment fdtr fdtrc fdtri fdtridfd fft fresnel from_parts full_rank gamma gamma_density gammainc
gammainc_in_a gammaincc gammainccinv gammaincinv gammasgn gcd gdtr gdtrc gdtria gdtrib gdtrix hankel1 hankel1e hankel2
hankel2e hurwitz_derivative hyp0f1 hyp1f1 hyp2f1 hyperu i0 i0e i1 i1e  irfft it2i0k0 it2j0y0 it2struve0
itairy iti0k0 itj0y0 itmodstruve0 itstruve0 iv ive j0 j1 jv jve k0 k0e k1 k1e kei keip kelvin ker kerp kn kolmogi
kolmogorov kolmogorov_derivative kv kve largest_entries  lcm  lexsort  log_wright_bessel logm
logm_frechet lpmv lpmv_angle lstsq mathieu_a mathieu_b mathieu_cem mathieu_modcem1 mathieu_modcem2 mathieu_modsem1
mathieu_modsem2 mathieu_sem merged modfresnelm modfresnelp modstruve nbdtr nbdtrc nbdtri nbdtrik nbdtrin ndtri
ndtri_exp noncentral_density nrdtrimn nrdtrisd obl_ang1 obl_ang1_cv obl_cv obl_rad1 obl_rad1_cv owens_t
partition_order pbdv pbvv pbwa pdtr pdtrc pdtri pdtrik  pinv poch polar_factor polygamma powm1
pro_ang1 pro_ang1_cv pro_cv pro_rad1 pro_rad1_cv quantile_plan reciprocal_moment  resolved rfft rgamma
rgamma_slope roots row_order rq_signs shichi sici sindg smirnov smirnov_derivative smirnovi spence sqrtm sqrtm_frechet
stdtr stdtridf stdtrit struve sylvester tandg tklmbda turns voigt_profile weighted_rank wofz wright_bessel wrightomega
y0 y1 yn yv yve zetac
""".split()


def test_these_ops_have_no_form_and_are_run_by_eval(forms: Any) -> None:
    assert {name for name, op in forms.OPS.items() if isinstance(op.lower, HostCall)} == set(HOSTED)
