"""Verdicts over independent draws: exact where they can be, and seldom wrong about nothing."""

import numpy as np
import pytest

from azero.insight import verdict


@pytest.mark.parametrize(("program", "baseline", "word"), [
    (np.arange(100) < 3, np.arange(100) > 2, "better"), (np.zeros(60), np.zeros(60), "same"),
    (np.arange(400) > 8, np.arange(400) < 8, "worse"),
    (np.full(60, 0.5), np.full(60, 0.5 + 1e-8), "same"),
    (np.arange(60) % 2, (np.arange(60) + 1) % 2, "same"), (np.zeros(3), np.ones(3), "same"),
    (np.zeros(7), np.arange(1, 8), "better"), (np.zeros(6), np.arange(1, 7), "same")])
def test_the_word(program, baseline, word):
  # Of 6 gains all signs are alike by chance in 1 of 32 cases, of 7 in 1 of 64.
  assert verdict.compare(program, baseline).word == word


def test_many_signs_are_drawn_as_few_are_counted():
  sizes = np.arange(1.0, 14.0)
  drawn = verdict._p_value(np.concatenate([sizes, [1e-9]]) * np.resize([1, 1, -1], 14))
  assert drawn == pytest.approx(verdict._p_value(sizes * np.resize([1, 1, -1], 13)), abs=0.02)


def test_the_gain_and_its_interval():
  rng = np.random.default_rng(0)
  gains = rng.normal(0.5, 1.0, 400)
  found = verdict.compare(np.zeros(400), gains)
  assert found.gain == pytest.approx(gains.mean()) and found.word == "better"
  error = gains.std() / 20
  assert found.low == pytest.approx(gains.mean() - 2.33 * error, abs=0.2 * error)
  assert found.high == pytest.approx(gains.mean() + 2.33 * error, abs=0.2 * error)
  assert found.sentence("a coin", "mean error of 400 rows").startswith(
      f"It is better than a coin by a paired test at 2 %: {gains.mean():+.4f} in the mean "
      "error of 400 rows (bootstrap, 98 % from +")


def test_equal_ones_are_seldom_told_apart():
  rng = np.random.default_rng(1)
  for draw in (lambda: rng.random((2, 20)) < 0.5, lambda: rng.normal(size=(2, 20)) ** 2):
    words = [verdict.compare(*draw()).word for _ in range(200)]
    assert words.count("same") >= 190


def test_nothing_cannot_be_judged():
  with pytest.raises(ValueError, match=r"errors \[N\] of both on the same draws, got \(0,\)"):
    verdict.compare(np.zeros(0), np.zeros(0))
