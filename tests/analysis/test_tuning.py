"""Tuning of constants: what it finds, what it costs, and that a seed decides it."""

import numpy as np
import pytest

from azero.analysis import tuning
from azero.analysis.direct import DirectEvaluation, DirectEvaluator
from azero.language import text
from azero.tasks import linear_regression
