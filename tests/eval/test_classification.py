"""Top-k error against a plain loop, and what it refuses."""

import numpy as np
import pytest

from eval.classification import rank, topk_error
from eval.errors import EvalError


def test_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(200, 12)), rng.integers(0, 12, 200)
    for k in (1, 3, 5):
        wrong = sum(
            label not in sorted(range(12), key=lambda c: -row[c])[:k] for row, label in zip(scores, labels, strict=True)
        )
        assert topk_error(rank(scores, 5), labels, k) == pytest.approx(100 * wrong / 200, abs=1e-12)


def test_known_values() -> None:
    assert topk_error([[0, 1], [2, 1], [1, 0]], [0, 1, 2], 1) == pytest.approx(200 / 3)
    assert topk_error([[0, 1], [2, 1], [1, 0]], [0, 1, 2], 2) == pytest.approx(100 / 3)


def test_ties_go_to_the_lower_class() -> None:
    assert rank([[1.0, 2.0, 2.0, -np.inf]], 3).tolist() == [[1, 2, 0]]


@pytest.mark.parametrize(
    ("topk", "labels", "k", "message"),
    [
        ([[0, 1]], [0, 1], 1, "1 predictions for 2 labels"),
        (np.zeros((0, 5), int), np.zeros(0, int), 1, "at least one"),
        ([[0, 1]], [0], 5, "k = 5, expected 1 to 2"),
        ([[0, 1]], [0], 0, "k = 0"),
        ([[0.0, np.nan]], [0], 1, "topk: float64"),
        ([0, 1], [0, 1], 1, r"topk: int64 of shape \(2,\)"),
        ([[0, 1], [0]], [0, 1], 1, "different lengths"),
        ([[3, 3]], [3], 1, "predicted twice"),
    ],
)
def test_refused(topk: object, labels: object, k: int, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        topk_error(topk, labels, k)  # type: ignore[arg-type]  # wrong input is what is tested


def test_nan_scores_are_named() -> None:
    with pytest.raises(EvalError, match="1 samples are NaN, the first at position 1"):
        rank([[0.0, 1.0], [np.nan, 1.0]], 1)
