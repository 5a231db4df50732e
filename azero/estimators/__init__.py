"""Programs as scikit-learn estimators: one given program, or a search for one.

`ProgramClassifier` and `ProgramRegressor` train a program of the paper's notation on a table;
`AutoMLZeroClassifier` and `AutoMLZeroRegressor` search for it first.
"""

from azero import lazy

lazy.require("sklearn", extra="estimators", purpose="Estimators")
