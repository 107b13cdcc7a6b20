"""How good a model is on orders that it was not trained with."""

import numpy as np


def roc_auc(score: np.ndarray, outcome: np.ndarray) -> float:
    """The probability that a regretted order scores above one that is not; ties count half (Mann-Whitney U)."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts - 1) / 2
    positives = int(outcome.sum())
    negatives = len(outcome) - positives
    u = mean_rank[inverse][outcome == 1].sum() - positives * (positives + 1) / 2
    return float(u / (positives * negatives))


def brier(score: np.ndarray, outcome: np.ndarray) -> float:
    """The mean squared distance of score and outcome."""
    return float(np.mean((score - outcome) ** 2))


def calibration(score: np.ndarray, outcome: np.ndarray, bins: int = 10) -> list[dict]:
    """For each tenth of the scale that holds scores: how many, their mean, and the share that was regretted."""
    index = np.minimum((score * bins).astype(int), bins - 1)
    table = []
    for i in range(bins):
        inside = index == i
        if inside.any():
            table.append(
                {
                    "from": i / bins,
                    "to": (i + 1) / bins,
                    "rows": int(inside.sum()),
                    "mean_score": round(float(score[inside].mean()), 6),
                    "regret_rate": round(float(outcome[inside].mean()), 6),
                }
            )
    return table


def evaluate(score: np.ndarray, outcome: np.ndarray) -> dict:
    """The manifest's evaluation."""
    return {
        "rows": len(score),
        "roc_auc": round(roc_auc(score, outcome), 6),
        "brier": round(brier(score, outcome), 6),
        "calibration": calibration(score, outcome),
    }
