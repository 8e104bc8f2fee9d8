"""`python -m transfer CONFIG --backbone SOURCE`: transfer a backbone to a task and score it."""

import sys
from collections.abc import Sequence

from core.stage import main as stage_main
from eval.errors import EvalError
from transfer.stage import Transfer, execute


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return stage_main("transfer", Transfer, execute, argv, errors=EvalError)


if __name__ == "__main__":
    sys.exit(main())
