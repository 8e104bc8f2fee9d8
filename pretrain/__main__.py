"""`python -m pretrain CONFIG`: train a backbone."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one pretraining cell; returns the exit code."""
    from core.stage import main as stage_main
    from pretrain.stage import Pretrain
    from pretrain.training import execute

    return stage_main("pretrain", Pretrain, execute, argv)


if __name__ == "__main__":
    sys.exit(main())
