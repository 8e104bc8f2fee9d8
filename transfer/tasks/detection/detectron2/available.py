"""Whether detectron2 can be imported, and the message for when it cannot.

detectron2 is an engine that the user builds: it is no package of this project's lock files.
"""

import importlib

from core.errors import UserError

INSTALL_PAGE = "https://detectron2.readthedocs.io/en/latest/tutorials/install.html"


def require() -> str:
    """detectron2's version, where it and its compiled part can be imported.

    Raises:
        UserError: it is absent, built for another torch, or too old for the Pillow that is here; the message names its
            page "Installation".
    """
    try:
        version: str = importlib.import_module("detectron2").__version__
        importlib.import_module("detectron2._C")
        importlib.import_module("detectron2.modeling")
    except (ImportError, AttributeError) as error:  # the second: its release 0.6 asks Pillow for names that are gone
        raise UserError(
            f"engine=detectron2 expects the package detectron2 in this Python, which has no working one ({error}). "
            f'Its documentation says under "Installation" how to build it: {INSTALL_PAGE} '
            "(--no-build-isolation, so that it is built for the torch that is here). engine=torchvision needs nothing"
        ) from error
    return version
