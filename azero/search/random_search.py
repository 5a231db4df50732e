"""Random search: every program is random in all instructions (section 4.1 of the paper)."""

import numpy as np

from azero.language.program import Programs
from azero.search.search import Search


class RandomSearch(Search):
  """Islands that draw `children_per_cycle` random programs in a cycle and keep the best."""

  def _propose(self, islands: np.ndarray) -> tuple[Programs, int]:
    count = self.config.children_per_cycle
    return self._random_programs(islands, count), count

  def _accept(self, islands: np.ndarray, programs: Programs, fitness: np.ndarray) -> None:
    """Learns nothing: the best programs are noted by `Search`."""
