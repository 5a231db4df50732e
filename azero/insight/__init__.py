"""What was found, and how good it is: explanations, ablations, motifs, tuning, statistics, plots.

The public names are those of `__init__.pyi`, each imported when it is first used.
"""

from azero import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
