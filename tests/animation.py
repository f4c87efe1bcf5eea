"""The README's film: `python -m tests.animation FILE.gif` trains RN_2, draws a digit and goes down to one value.

`mnist-tui` finds the data, or downloads them.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from textual.pilot import Pilot

from tests.raster import raster
from tests.tui_app.driving import shown
from tui_app.dashboard.app import MnistTui

_SIZE = 120, 40
_CELL_HEIGHT = 14
_STROKES = ("left 6", "up 8", "space", "right 11", "down 1", *("left 1", "down 2") * 7, "space")
"""A seven, as keys and how often each is pressed."""
_SLOW_S, _QUICK_S = 1.6, 0.08


class _Film:
    """Frames, each with the seconds for which it is seen."""

    def __init__(self, pilot: Pilot[int]) -> None:
        self._pilot = pilot
        self.frames: list[Image.Image] = []
        self.seconds: list[float] = []

    async def press(self, key: str, seconds: float, awaited: str = "") -> None:
        """Press a key, wait for a text on the screen, and take a frame."""
        await self._pilot.press(key)
        before = ""
        while awaited not in shown(self._pilot.app) or shown(self._pilot.app) != before:
            before = shown(self._pilot.app)
            await self._pilot.pause(0.1)
        self.frames.append(raster(self._pilot.app, _CELL_HEIGHT))
        self.seconds.append(seconds)

    def save(self, path: Path) -> None:
        """Write the film as a GIF."""
        first, *others = (frame.quantize(96, dither=Image.Dither.NONE) for frame in self.frames)
        milliseconds = [round(1000 * each) for each in self.seconds]
        first.save(path, save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=True)


async def _filmed(runs_dir: Path, path: Path) -> None:
    os.environ.update(TEXTUAL_ANIMATIONS="none", COLUMNS=str(_SIZE[0]), LINES=str(_SIZE[1]))
    app = MnistTui(runs_dir, {}, "rn2-0001")
    async with app.run_test(size=_SIZE) as pilot:
        film = _Film(pilot)
        await film.press("f2", _SLOW_S, "rn2-0001")
        await film.press("w", _SLOW_S / 2, "Draw a digit")
        for stroke in _STROKES:
            key, _space, count = stroke.partition(" ")
            for _step in range(int(count or 1)):
                await film.press(key, _QUICK_S)
        film.seconds[-1] = _SLOW_S
        await film.press("enter", _SLOW_S, "conv1 ·")
        for _layer in range(3):
            await film.press("down", _SLOW_S / 3)
        await film.press("enter", _SLOW_S, "Parameters")
        for _channel in range(3):
            await film.press("right", _SLOW_S / 3)
        await film.press("enter", _SLOW_S, "pixels of the image")
        for key in ("right", "right", "down", "down", "left"):
            await film.press(key, _SLOW_S / 2, "pixels of the image")
        film.seconds[-1] = 2 * _SLOW_S
        film.save(path)
        app.exit(0)


def main() -> None:
    path = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as runs_dir:
        train = [sys.executable, "-m", "tui_app", "--no-ui", "--model", "RN_2", "--epochs", "2", "--seed", "1"]
        subprocess.run([*train, "--runs-dir", runs_dir], check=True)
        asyncio.run(_filmed(Path(runs_dir), path))


if __name__ == "__main__":
    main()
