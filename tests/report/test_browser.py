"""The page in a browser: it opens without errors, figures are drawn, nothing is fetched.

Needs Debian's chromium, which `.ci/run` installs.
"""

import pytest
from support import browser, run_cases

import azero

pytestmark = pytest.mark.skipif(
    browser.chromium() is None, reason="needs a browser: apt-get install chromium")

_DRAWN = "[...document.querySelectorAll('figure[id]')].every(each => each.dataset.drawn === 'yes')"
_FIGURES = """[...document.querySelectorAll('figure[id]')].map(each =>
  [each.id, each.querySelectorAll(
    'svg [class~=mark-symbol] path, svg [class~=mark-rect] path').length])"""
_UNNAMED = """[...document.querySelectorAll('[role=img], img')].filter(
  each => !each.getAttribute('aria-label') && !each.alt && !each.querySelector('title')).length"""
_HEADINGS = "[...document.querySelectorAll('h1, h2, h3')].map(each => each.tagName)"


@pytest.fixture(scope="module")
def page():
  with browser.page() as opened:
    yield opened


@pytest.mark.parametrize(("make", "figures"), [
    (run_cases.under_way, {"figure-progress": 5}),
    (run_cases.with_history, {
        "figure-progress": 5, "figure-ablations": 2, "figure-front": 2, "figure-comparison": 3}),
    (run_cases.of_classes, {"figure-progress": 5, "figure-comparison": 2}),
    (run_cases.of_quantity, {
        "figure-progress": 5, "figure-comparison": 2, "figure-residuals": 3})])
def test_a_page_opens_without_errors_and_fetches_nothing(page, tmp_path, make, figures):
  path = azero.report.read(make(tmp_path / "run")).write()
  page.problems.clear()
  page.requests.clear()
  for width, dark in ((1200, False), (400, True)):
    page.open(path, width=width, dark=dark, ready=_DRAWN)
    assert dict(page.value(_FIGURES)) == figures
    assert page.value("document.querySelectorAll('svg.azero-flow').length") == 1
    assert page.value("document.documentElement.scrollWidth") <= width  # no scrolling sideways
    assert page.value("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 27)" if dark else "rgb(251, 250, 247)")
    assert page.value(_UNNAMED) == 0
    headings = page.value(_HEADINGS)
    assert headings[0] == "H1" and set(headings[1:]) <= {"H2", "H3"}
    links = page.value("document.querySelectorAll('nav a').length")
    assert links == headings.count("H2")
  assert page.problems == []
  assert page.requests == [f"file://{path}"] * 2


def test_what_a_page_does_wrong_is_noticed(page, tmp_path):
  path = tmp_path / "wrong.html"
  path.write_text("<img src='http://127.0.0.1:9/x.png'><script>nothing.at.all()</script>")
  page.problems.clear()
  page.requests.clear()
  page.open(path)
  assert "http://127.0.0.1:9/x.png" in page.requests
  assert any("nothing is not defined" in problem for problem in page.problems)
