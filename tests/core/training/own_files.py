"""Networks in files of a user's own, for tests of what they train to."""

from __future__ import annotations

from pathlib import Path

HEAD = """import random

import numpy
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
"""


def model_in(folder: Path, body: str) -> str:
    """Write a class `Net` whose `__init__` goes on with `body`, and return its name for a configuration."""
    folder.mkdir(exist_ok=True)
    path = folder / "net.py"
    path.write_text(HEAD + body)
    return f"{path}:Net"
