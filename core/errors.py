"""The error that a user can act on."""


class UserError(ValueError):
    """Something outside the program is wrong: its message is shown without a traceback, and the exit code is 2.

    The message names the file or field, what was expected, what came, and what there is.
    """
