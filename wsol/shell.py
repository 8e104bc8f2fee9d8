"""What the commands share that take a localization config and make files from it: `extract` and `figure`."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from wsol.stage import Localize


def shielded(
    parser: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace, list[str]], None],
    argv: Sequence[str] | None,
    stopped: str,
) -> int:
    """Parse and run. Returns 0 (done, or help), 2 (something the user can mend) or 130 (stopped).

    Args:
        parser: of the command's own options; what it does not know is the config's.
        command: (options, the rest of the line) -> None.
        argv: the command line; None: this process's.
        stopped: what to say after Ctrl-C.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] in ("-h", "--help"):
        (sys.stdout if given else sys.stderr).write(parser.format_help())
        return 0 if given else 2
    try:
        command(*parser.parse_known_args(given))
    except (UserError, OSError) as error:  # OSError: the disk; nothing finished is lost
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; {stopped}\n")
        return 130
    return 0


def localization(path: str, fields: Sequence[str], prog: str) -> "Localize":
    """The localization config of a file, with fields overridden. UserError: it defines something else."""
    from core.config import load, override
    from wsol.stage import Localize

    config = load(path)
    if not isinstance(config, Localize):
        raise UserError(f"{path}: expected a config of configs/wsol, it defines a {type(config).__name__}")
    return override(config, list(fields), prog=f"{prog} {path}")
