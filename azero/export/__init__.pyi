# The public names and where they live; at run time `lazy.attach_stub` reads this file.

from azero.export.array_files import JaxFunctions, jax_functions, jax_source, numpy_source

__all__ = ["JaxFunctions", "jax_functions", "jax_source", "numpy_source"]
