"""The dry run: a G-code file through the firmware's own code on this computer, to see what it will do."""

import sys

from tools import paths

for _path in (paths.FIRMWARE, paths.ROOT / "tools" / "host"):
    if str(_path) not in sys.path:
        sys.path.insert(0, str(_path))
