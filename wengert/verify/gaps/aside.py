"""The names of which no derivative is possible or needed, each with the reason: they are counted, and ranked apart from gaps."""

from __future__ import annotations

from wengert.verify.gaps.names import Name, Standing

DRAWS = "random draws: they come from a stream of bits; write the draw as a function of its parameters"
FILES = "reading and writing: a file keeps values and not their derivative"
COMPILED = "compiled code that writes to memory by address; the functions that call it are counted by themselves"
A_TYPE = "a type of NumPy's"
AN_ERROR = "an exception or a warning"

# A whole module, with what is below it, by the reason.
MODULES: dict[str, str] = {
    **dict.fromkeys(("numpy.testing", "scipy.test"), "tests"),
    **dict.fromkeys(
        ("numpy.random", "scipy.stats.qmc", "scipy.stats.sampling"),
        DRAWS,
    ),
    **dict.fromkeys(
        ("scipy.io", "scipy.datasets", "numpy.lib.format", "numpy.lib.npyio"),
        FILES,
    ),
    **dict.fromkeys(("numpy.char", "numpy.strings"), "text"),
    **dict.fromkeys(("numpy.rec", "numpy.lib.recfunctions", "numpy.ma.mrecords"), "records of mixed types"),
    **dict.fromkeys(("numpy.typing", "numpy.dtypes", "numpy.exceptions"), "types, for annotations and handlers"),
    **dict.fromkeys(
        ("numpy.f2py", "numpy.ctypeslib", "scipy.LowLevelCallable", "scipy.linalg.blas", "scipy.linalg.lapack"),
        COMPILED,
    ),
    **dict.fromkeys(
        ("numpy.version", "numpy.lib.introspect", "numpy.lib.array_utils", "numpy.lib.mixins", "numpy.lib.user_array"),
        "about NumPy itself",
    ),
    "scipy.constants": "numbers, which have no derivative",
}

# Single names, by the reason and the module.
_NAMES: dict[str, dict[str, str]] = {
    COMPILED: {
        "scipy.linalg": "get_lapack_funcs get_blas_funcs find_best_blas_type",
        "scipy": "LowLevelCallable",
    },
    "a function of integers": {
        "scipy.special": "factorial2 factorialk",
        "scipy.fftpack": "next_fast_len",
        "scipy.signal": "unit_impulse max_len_seq",
        "scipy.sparse": "eye eye_array identity",
        "scipy.ndimage": "generate_binary_structure iterate_structure",
    },
    "an integer, a boolean or a structure of them, piecewise constant": {
        "scipy.sparse": "issparse isspmatrix isspmatrix_bsr isspmatrix_coo isspmatrix_csc isspmatrix_csr isspmatrix_dia"
        " isspmatrix_dok isspmatrix_lil get_index_dtype safely_cast_index_arrays find",
        "scipy.sparse.csgraph": "connected_components maximum_flow maximum_bipartite_matching breadth_first_order breadth_first_tree"
        " depth_first_order depth_first_tree reverse_cuthill_mckee structural_rank min_weight_full_bipartite_matching"
        " minimum_spanning_tree construct_dist_matrix reconstruct_path",
        "scipy.ndimage": "binary_closing binary_dilation binary_erosion binary_fill_holes binary_hit_or_miss binary_opening"
        " binary_propagation label find_objects minimum_position maximum_position watershed_ift value_indices",
        "scipy.cluster.hierarchy": "fcluster fclusterdata cut_tree dendrogram is_isomorphic is_monotonic is_valid_im is_valid_linkage"
        " leaders leaves_list num_obs_linkage to_tree set_link_color_palette DisjointSet correspond ClusterNode"
        " ClusterWarning",
        "scipy.spatial": "tsearch",
        "scipy.spatial.distance": "is_valid_dm is_valid_y num_obs_dm num_obs_y",
        "scipy.optimize": "linear_sum_assignment quadratic_assignment milp",
        "scipy.signal": "find_peaks find_peaks_cwt argrelmax argrelmin argrelextrema choose_conv_method check_COLA check_NOLA",
        "scipy.stats": "rankdata find_repeats tiecorrect",
        "numpy.ma": "allequal allclose count count_masked getmask getmaskarray is_mask is_masked isMaskedArray isMA isarray make_mask"
        " make_mask_descr make_mask_none mask_or masked_all flatten_mask notmasked_contiguous notmasked_edges"
        " clump_masked clump_unmasked argmax argmin argsort nonzero default_fill_value maximum_fill_value minimum_fill_value"
        " set_fill_value common_fill_value shape size ndim",
    },
    DRAWS: {
        "scipy.sparse": "random random_array rand",
        "scipy.linalg": "clarkson_woodruff_transform",
        "scipy.stats": "bootstrap permutation_test monte_carlo_test random_correlation random_table ortho_group special_ortho_group"
        " unitary_group uniform_direction PermutationMethod MonteCarloMethod BootstrapMethod",
    },
    "arguments or results, held together": {
        "scipy.optimize": "Bounds LinearConstraint NonlinearConstraint OptimizeResult RootResults show_options SR1 BFGS"
        " HessianUpdateStrategy check_grad",
        "scipy.stats": "CensoredData",
        "scipy.odr": "Data RealData Model Output odr_error odr_stop",
        "scipy.sparse": "sparray spmatrix",
        "scipy.sparse.linalg": "use_solver",
    },
    "a plot": {
        "scipy.stats": "ppcc_plot boxcox_normplot yeojohnson_normplot",
        "scipy.spatial": "convex_hull_plot_2d delaunay_plot_2d voronoi_plot_2d",
    },
    FILES: {
        "numpy": "save savez savez_compressed savetxt memmap ndarray.tobytes ndarray.tofile ndarray.dump ndarray.dumps",
        "scipy.sparse": "save_npz load_npz",
    },
    "about memory, dates or documentation, not about numbers": {
        "numpy": "isnat ndarray.byteswap ndarray.ctypes ndarray.data ndarray.setflags ndarray.getfield ndarray.setfield",
        "numpy.lib": "add_docstring add_newdoc NumpyVersion Arrayterator tracemalloc_domain",
        "numpy.polynomial": "set_default_printstyle",
        "scipy": "show_config",
        "numpy.ma": "mvoid",
    },
}

NAMES: dict[str, str] = {
    (f"{space}.{name}" if not name.startswith("ndarray.") else name): reason
    for reason, spaces in _NAMES.items()
    for space, names in spaces.items()
    for name in names.split()
}


def reason(name: Name, standing: Standing) -> str:
    """Why no derivative of `name` is possible or needed; empty if one would make sense."""
    if name.name in NAMES:
        return NAMES[name.name]
    parts = name.name.split(".")
    for depth in range(len(parts), 0, -1):
        if (above := ".".join(parts[:depth])) in MODULES or above in NAMES:
            return MODULES.get(above) or NAMES[above]
    if isinstance(name.found, type) and issubclass(name.found, BaseException):
        return AN_ERROR
    if isinstance(name.found, type) and name.space == "numpy" and standing.status == "unserved":
        return A_TYPE
    if name.space == "scipy.stats" and parts[-1] in ("rvs", "_rvs"):
        return DRAWS
    return ""
