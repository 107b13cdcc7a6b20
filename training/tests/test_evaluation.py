"""The evaluation's measures on cases small enough to be worked out by hand."""

import numpy as np
import pytest

from trendbuy_training.evaluation import brier, calibration, roc_auc


def test_roc_auc():
    outcome = np.array([0, 0, 1, 1])
    assert roc_auc(np.array([0.1, 0.2, 0.3, 0.4]), outcome) == 1
    assert roc_auc(np.array([0.4, 0.3, 0.2, 0.1]), outcome) == 0
    assert roc_auc(np.array([0.5, 0.5, 0.5, 0.5]), outcome) == 0.5
    # Of four pairs two are right, one is a tie, one is wrong.
    assert roc_auc(np.array([0.1, 0.3, 0.3, 0.2]), outcome) == (2 + 0.5) / 4


def test_brier():
    assert brier(np.array([0.5, 1.0]), np.array([0, 1])) == 0.125


def test_calibration_puts_a_score_of_one_into_the_last_tenth():
    table = calibration(np.array([0.0, 0.05, 0.95, 1.0]), np.array([0, 1, 1, 1]))
    assert [(tenth["from"], tenth["to"], tenth["rows"], tenth["regret_rate"]) for tenth in table] == [
        (0.0, 0.1, 2, 0.5),
        (0.9, 1.0, 2, 1.0),
    ]
    assert table[1]["mean_score"] == pytest.approx(0.975)
