"""python -m tools.docs: writes the pages of docs/ that are generated from the firmware's tables."""

import importlib
import importlib.util

from tools.steps import main

GENERATORS = ("tools.settings_doc", "tools.gcodes")


def docs():
    """Write every page whose generator there is."""
    for name in GENERATORS:
        if importlib.util.find_spec(name):
            importlib.import_module(name).run()


if __name__ == "__main__":
    main(docs)
