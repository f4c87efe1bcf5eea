import sys
from pathlib import Path

# With `PYTHONPATH=.` in a project that has a `core` of its own, that one would come first.
sys.path.insert(0, str(Path(__file__).parents[1]))
import core  # noqa: F401

del sys.path[0]
