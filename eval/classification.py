"""Top-k error of ranked class predictions."""

import numpy as np
from numpy.typing import ArrayLike

from eval.errors import EvalError


def rank(scores: ArrayLike, k: int) -> np.ndarray:
    """Class ids of the k highest scores, best first: [N, K] -> [N, k] int64; of equal scores the lower id comes first.

    Raises EvalError for NaN (infinity is a score like any other) and for k outside 1..K.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or not 1 <= k <= table.shape[1]:
        raise EvalError(f"scores of shape {table.shape} and k = {k}, expected [N, K] and 1 <= k <= K")
    if (bad := np.flatnonzero(np.isnan(table).any(axis=1))).size:
        raise EvalError(f"scores of {bad.size} samples are NaN, the first at position {bad[0]}")
    return np.argsort(-table, axis=1, kind="stable")[:, :k]


def topk_error(topk: ArrayLike, labels: ArrayLike, k: int) -> float:
    """Percent of samples whose label is not among the first k predictions.

    Args:
        topk: class ids, best first, [N, at least k] integers; repeated ids within a sample are refused.
        labels: the right class ids, [N] integers.
        k: how many guesses count.

    Raises:
        EvalError: for shapes that do not fit, no samples, numbers that are not whole, or an id predicted twice.
    """
    guesses, truth = _integers("topk", topk, 2), _integers("labels", labels, 1)
    if not truth.size or len(guesses) != len(truth):
        raise EvalError(f"{len(guesses)} predictions for {len(truth)} labels, expected as many and at least one")
    if not 1 <= k <= guesses.shape[1]:
        raise EvalError(f"k = {k}, expected 1 to {guesses.shape[1]}, the number of classes predicted for a sample")
    ordered = np.sort(guesses, axis=1)
    if (twice := np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))).size:
        raise EvalError(f"sample at position {twice[0]}: a class is predicted twice in {guesses[twice[0]].tolist()}")
    right = (guesses[:, :k] == truth[:, None]).any(axis=1)
    return 100.0 * float(len(truth) - np.count_nonzero(right)) / len(truth)


def _integers(name: str, values: ArrayLike, dimensions: int) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise EvalError(f"{name}: rows of different lengths") from None
    if array.ndim != dimensions or not (array.size == 0 or np.issubdtype(array.dtype, np.integer)):
        raise EvalError(f"{name}: {array.dtype} of shape {array.shape}, expected integers in {dimensions} dimensions")
    return array.astype(np.int64)
