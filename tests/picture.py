"""Pictures of the README: `python -m tests.picture FOLDER` compares both networks, then draws three screens.

The dashboard is drawn in English and in French. `mnist-tui` finds the data, or downloads them.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import DataTable

from tui_app import i18n
from tui_app.dashboard.app import MnistTui

SEEDS, EPOCHS = "3", "5"


async def _until(pilot: Pilot[int], shown: Callable[[str], bool]) -> str:
    """Return the screen once it shows what is awaited, and shows the same for a while."""
    last = ""
    while True:
        await pilot.pause(0.5)
        picture = pilot.app.export_screenshot(simplify=True)
        if picture == last and shown(picture.replace("&#160;", " ")):
            return pilot.app.export_screenshot()
        last = picture


async def _pictures(runs_dir: Path, *, only_dashboard: bool = False) -> dict[str, str]:
    """Return pictures of the screens by their names."""
    app = MnistTui(runs_dir, {"epochs": int(EPOCHS)}, "rn2-0002")
    async with app.run_test(size=(120, 40)) as pilot:
        await _until(pilot, lambda text: "421" in text)  # the layer table's sum
        runs = app.screen.query_one("#runs", DataTable)
        runs.focus()
        runs.move_cursor(row=runs.row_count - 1)
        await pilot.press("space")
        runs.move_cursor(row=runs.row_count - 2)
        found = {"dashboard": await _until(pilot, lambda text: text.count("rn1-0001") >= 2)}
        if only_dashboard:
            return found
        await pilot.press("f3")
        found["digits"] = await _until(pilot, lambda text: "▀" * 14 in text)
        await pilot.press("escape")
        await _until(pilot, lambda text: "F5" in text)
        await pilot.press("shift+f5")
        found["comparison"] = await _until(pilot, lambda text: "points" in text)
        return found


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs_dir:
        command = [sys.executable, "-m", "tui_app", "compare", "RN_1", "RN_2", "--seeds", SEEDS, "--epochs", EPOCHS]
        subprocess.run([*command, "--runs-dir", runs_dir], check=True)
        found = asyncio.run(_pictures(Path(runs_dir)))
        i18n.use("fr")
        found["dashboard-fr"] = asyncio.run(_pictures(Path(runs_dir), only_dashboard=True))["dashboard"]
    for name, picture in found.items():
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
