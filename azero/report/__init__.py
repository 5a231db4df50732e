"""A run as one self-contained page: progress, the program, its diagram, comparisons, settings.

    azero.report.read("runs/mine").write()

Made from the files of a run directory alone, of a run under way too. The public names are those of
`__init__.pyi`, each imported when it is first used.
"""

from azero import lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
