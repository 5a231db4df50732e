"""Which program to take for a table: one that a search found, or one that was known before.

As the search estimators choose, row by row, see `azero.estimators.contest`: every candidate is
trained for several numbers of epochs on some rows and scored on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.frame import discovery, lazy, row_judging

with lazy.imports():
  from azero.estimators import contest, recipe, targets, training
  from azero.language import program as program_lib
  from azero.tasks.tables import splits

if TYPE_CHECKING:
  from azero.search.groups.starts import Known
  from azero.tasks.tables.table import Table
  from experiments.frame.runtimes import GroupedSearch


def choose(search: GroupedSearch, table: Table, known: Sequence[Known]) -> discovery.Chosen:
  """The best of what a search found on the search rows of a table, and of known programs.

  Args:
    search: that has ended.
    table: that it searched on.
    known: programs that were there before.
  """
  rows = row_judging.learnt_rows(table)
  preparation = row_judging.prepare(table, rows)
  learnt = training.Rows(
      preparation.features(table.frame.iloc[rows]),
      preparation.encode_target(table.target.iloc[rows]), np.ones(len(rows)))
  target = (targets.quantity(learnt.y, learnt.weights) if preparation.classes is None
            else targets.classes_of(learnt.y, learnt.weights))
  strata = target.strata(learnt.y)
  rng = np.random.default_rng(table.settings.seed)
  searched = np.arange(len(table.split.search))
  selecting = np.arange(len(searched), len(rows))
  train, held_out = learnt.take(searched), learnt.take(selecting)
  folds = everywhere = [training.Fold(train, held_out)]
  if isinstance(table.split, splits.RandomSplit):  # no group or time keeps rows apart
    folds = contest.make_folds(held_out, strata[selecting], rng, besides=train)
    everywhere = contest.make_folds(learnt, strata, rng)
  rivals = contest.Contest(
      recipe.Recipe(program="", target=target, seed=table.settings.seed), training.Schedule(), rng)
  ranked = rivals.with_finds(
      rivals.compare_known(known, everywhere), contest.finds_of(search.hall_of_fame), folds)
  if not ranked:
    raise ValueError("No program can be trained on the rows: the error of each is not finite.")
  best = ranked[0]
  num_known = sum(each.candidate.name != contest.FOUND for each in ranked)
  sentence = (
      f"Of {len(ranked)} candidates, {num_known} of them known before, the chosen program is best "
      f"on rows that it was not trained on (score {best.best.score:.4f} after {best.best.epochs} "
      "epoch(s)).")
  if best.candidate.name == contest.FOUND:
    origin = "The search found it: it is none of those that were known before."
  else:
    origin = f"It is one of those that were known before: {best.candidate.name}."
  program = best.candidate.recipe.program
  assert isinstance(program, program_lib.Programs)
  return discovery.Chosen(
      program, f"{sentence} {origin}", training.good_epochs(best.rungs))
