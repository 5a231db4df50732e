"""Programs in other languages: NumPy and JAX files, LaTeX, JSON, diagrams, ONNX.

All are written from one representation, `algorithm.Algorithm`. The public names are those of
`__init__.pyi`, each imported when it is first used.
"""

from azero import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
