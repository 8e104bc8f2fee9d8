"""What the commands that score predictions have in common: options, and how warnings are shown."""

import argparse
import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

RESAMPLES = 1000
"""Of --against, where --bootstrap does not say."""


@contextlib.contextmanager
def warnings_shown() -> Iterator[None]:
    """Warnings of the body that are meant for users, once each and one to a line, on stderr when it is done."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:  # they may say why it failed
        shown = (warning for warning in caught if issubclass(warning.category, UserWarning | RuntimeWarning))
        for message in dict.fromkeys(str(warning.message) for warning in shown):
            sys.stderr.write(f"warning: {message}\n")


def add_resampling(group: "argparse._ArgumentGroup") -> None:
    """--bootstrap, --against and --seed."""
    group.add_argument(
        "--bootstrap", type=_resamples, default=0, metavar="N", help="95%% intervals from N resamples of the images"
    )
    group.add_argument(
        "--against",
        type=Path,
        metavar="OTHER",
        help=f"results of another model: the difference, in the same resamples ({RESAMPLES} unless --bootstrap says)",
    )
    group.add_argument("--seed", type=_seed, help="of the resamples (default: 0)")


def _resamples(text: str) -> int:
    if not text.isdecimal() or int(text) < 100:
        raise argparse.ArgumentTypeError(f"{text}, expected at least 100: an interval of 95% has 5 of them outside")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}, expected a whole number, 0 or more")
    return int(text)
