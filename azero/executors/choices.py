"""Names that settings of an evaluation choose from; needs no JAX."""

COMBINE = ("median", "mean")
DTYPES = ("float32", "float64")
EXECUTOR_NAMES = ("waves", "interpreter")
