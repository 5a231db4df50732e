"""azero: discovers whole machine-learning algorithms from scratch.

AutoML-Zero (Real, Liang, So, Le, ICML 2020) in Python on JAX. A candidate is a program of
three component functions, Setup, Predict and Learn, over a small memory of scalars,
vectors and matrices; evolution searches for programs that learn.

The public names are those of `__init__.pyi`. Each is imported when it is first used, so that
`import azero` takes no time and does not start JAX.
"""

from azero import lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
