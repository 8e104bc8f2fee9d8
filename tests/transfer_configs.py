"""configs/transfer as the tests of recipes read them."""

import ast
from functools import cache

from core.config import CONFIGS, load
from core.recipe import Recipe
from transfer.stage import Transfer


@cache
def config_of(stem: str) -> Transfer:
    """The config of a file's stem."""
    config = load(f"transfer/{stem}")
    assert isinstance(config, Transfer)
    return config


def recipe_of(stem: str) -> Recipe:
    """How it is trained; the config of a task without training fails the test."""
    recipe = config_of(stem).recipe
    assert recipe is not None
    return recipe


def docstring_of(stem: str) -> str:
    """The file's docstring, as one line."""
    tree = ast.parse((CONFIGS / f"transfer/{stem}.py").read_text())
    return " ".join((ast.get_docstring(tree) or "").split())
