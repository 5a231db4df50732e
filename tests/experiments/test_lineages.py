import numpy as np
import pytest

from azero.language import spaces
from azero.search.groups.migration import Pool
from experiments.simulations import lineages, server_load
from experiments.simulations.lineages import Stubs, StubWorkers
from experiments.simulations.server_load import Clocks, Servers

SPACE = spaces.demo(4)


def barriers(workers, turns, **settings):
  return server_load.at_barriers(
      Clocks(workers=workers, period=1.0, spread=0.2), 1e-4, 1e-4, turns, **settings)


def several(workers, turns, **settings):
  return server_load.asynchronous(
      Clocks(workers=workers, period=1.0, spread=0.2, jitter=0.1), 1e-4, turns, **settings)


def test_better_programs_win_tournaments_as_often_as_they_are_drawn():
  """One birth: the winner is better unless all T contestants of the P - 1 survivors are not."""
  stubs = Stubs(births=1, scenario="beneficial", tournament_size=3)
  workers = StubWorkers(stubs, 20_000)
  workers.marks[:] = 0
  workers.marks[:, 50:60] = 1
  workers.evolve(np.arange(20_000))
  assert (workers.marks[:, 1:].sum(1) == 10).all()
  share = workers.marks[:, 0].mean()
  assert share == pytest.approx(1 - (89 / 99) ** 3, abs=4 * 0.0031)


def test_the_oldest_dies_and_children_are_the_youngest():
  stubs = Stubs(births=1, scenario="neutral", population_size=4, migrants=2)
  workers = StubWorkers(stubs, 1)
  workers.marks = np.array([[0, 1, 2, 3]], np.int32)
  workers.fitness = np.array([9.0, 1.0, 2.0, 3.0])
  workers._contestants = 100  # the best survivor, surely
  for expected in ([3, 1, 2, 3], [3, 3, 2, 3], [3, 3, 3, 3]):
    workers.evolve(np.arange(1))
    assert workers.marks.tolist() == [expected]


def test_nothing_comes_from_nowhere(monkeypatch):
  """Programs arrive as they were sent, and a lineage that is lost does not come back."""
  sent, received = [], []
  upload, download = Pool.upload, Pool.download

  def note_upload(self, worker, programs):
    sent.append(programs.constants[:, 0, 0].copy())
    upload(self, worker, programs)

  def note_download(self, worker, count, turn=0):
    programs = download(self, worker, count, turn)
    received.append(programs.constants[:, 0, 0].copy())
    return programs

  monkeypatch.setattr(Pool, "upload", note_upload)
  monkeypatch.setattr(Pool, "download", note_download)
  for timeline in (barriers(20, 4), several(20, 4)):
    sent.clear()
    received.clear()
    history = lineages.migrate(timeline, Stubs(births=50, migrants=30), SPACE, 20)
    assert len(sent) == len(received) == len(timeline.worker)
    assert {len(marks) for marks in sent + received} == {30}
    assert set(np.concatenate(received)) <= set(np.concatenate(sent)) <= set(range(20))
    assert history.effective[0] == pytest.approx(20)
    assert (history.effective >= 1).all() and (history.effective <= 20 + 1e-9).all()
    assert history.holders[0] == 1 / 20


@pytest.mark.parametrize("workers", [10, 100, 500])
@pytest.mark.parametrize("births", [150, 1000])
def test_a_better_program_spreads_as_in_theory(workers, births):
  history = lineages.migrate(
      barriers(workers, 6), Stubs(births=births, scenario="beneficial"), SPACE, workers)
  assert history.exchanges[-1] == len(history.exchanges) - 1 <= 6
  expected = lineages.spread(workers, 50, history.exchanges)
  assert history.holders[0] == pytest.approx(1 / workers)
  assert history.holders[-1] == 1.0
  # Early on few workers decide: within a factor of 2, and near the end within 15 %.
  assert (history.holders <= 2 * expected).all()
  assert (history.holders >= 0.4 * expected).all()
  for share in (0.5, 0.99):
    until = lineages.exchanges_until(share, workers, 50)
    assert until <= history.exchanges_until(share) <= np.ceil(until) + 1


def test_without_barriers_it_spreads_nearly_as_fast():
  stubs = Stubs(births=300, scenario="beneficial")
  history = lineages.migrate(several(300, 8), stubs, SPACE, 300)
  until = lineages.exchanges_until(0.5, 300, 50)
  assert until / 2 <= history.exchanges_until(0.5) <= 2 * until + 1


@pytest.mark.parametrize("births", [100, 1000])
def test_neutral_lineages_are_lost_as_in_theory(births):
  timeline = barriers(200, 6)
  alike = np.mean([  # probability that two programs are of one lineage
      1 / lineages.migrate(timeline, Stubs(births=births, seed=seed), SPACE, 200).effective
      for seed in range(3)], axis=0)
  expected = 1 / lineages.identity(200, Stubs(births=births), 6)
  np.testing.assert_allclose(alike, expected, rtol=0.1)
  assert alike[-1] > alike[0] * (1.1 if births == 100 else 2)


def test_the_best_lineage_soon_is_the_only_one():
  history = lineages.migrate(
      barriers(100, 8), Stubs(births=300, scenario="ranked"), SPACE, 100)
  assert history.effective[-1] == 1.0 and history.holders[-1] == 1.0
  assert history.exchanges[-1] <= 4  # and then the simulation ends


def test_pools_of_their_own_workers_keep_a_program_to_themselves():
  stubs = Stubs(births=200, scenario="beneficial")
  own = lineages.migrate(barriers(40, 5, servers=Servers(4)), stubs, SPACE, 40)
  assert own.holders.max() == 1 / 4
  turns = lineages.migrate(barriers(40, 5, servers=Servers(4, rotate=True)), stubs, SPACE, 40)
  assert turns.holders[-1] == 1.0


def test_theory_of_the_better_program():
  exchanges = np.arange(5)
  x = lineages.spread(1000, 50, exchanges)
  np.testing.assert_allclose(x[1:], 1 - (1 - x[:-1]) * (1 - x[:-1]) ** 50, rtol=1e-9)
  for share in (0.5, 0.99):
    until = lineages.exchanges_until(share, 1000, 50)
    assert lineages.spread(1000, 50, until) == pytest.approx(share)
  assert lineages.exchanges_until(0.5, 2, 50) == 0.0
  # One exchange multiplies a rare program by the migrants and itself.
  assert lineages.spread(10**9, 50, 1) == pytest.approx(51e-9, rel=1e-6)


def test_theory_of_neutral_lineages_ends_at_one():
  numbers = lineages.identity(10, Stubs(births=10_000), 100)
  assert numbers[0] == pytest.approx(10) and (np.diff(numbers) < 0).all()
  assert numbers[-1] == pytest.approx(1.0, abs=1e-3)


def test_the_same_seed_has_the_same_history():
  def history(seed):
    return lineages.migrate(several(30, 3), Stubs(births=60, seed=seed), SPACE, 30)

  np.testing.assert_array_equal(history(0).effective, history(0).effective)
  assert not np.array_equal(history(0).effective, history(1).effective)


@pytest.mark.parametrize(("settings", "message"), [
    ({"births": 0}, "births of stubs must be at least 1, got 0"),
    ({"births": 1, "scenario": "lucky"}, "scenario must be one of neutral, beneficial, ranked"),
    ({"births": 1, "population_size": 40}, "40 cannot send 50 migrants"),
])
def test_bad_settings_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    Stubs(**settings)
