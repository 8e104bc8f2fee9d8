"""The errors that `eval` raises for wrong input."""


class EvalError(ValueError):
    """Input cannot be evaluated: the message names the file, image or field, what was expected and what there is."""
