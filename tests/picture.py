"""README picture: `python -m tests.picture .github/dashboard.svg` trains both networks, then shows the second."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from textual.widgets import Digits

from core.config import RunConfig
from core.runs import directory
from core.worker.carry_out import carry_out
from tui_app.dashboard.app import MnistTui


async def _picture(runs_dir: Path) -> str:
    app = MnistTui(runs_dir, {}, "rn2-0002")
    async with app.run_test(size=(120, 40)) as pilot:
        while app.screen.query_one("#accuracy", Digits).value == "–" or "parameters" not in app.export_screenshot():
            await pilot.pause(0.1)
        app.screen.query_one("#runs").focus()
        await pilot.press("down", "space")
        while "rn1-0001" not in app.export_screenshot(simplify=True).partition("Progress")[0]:
            await pilot.pause(0.1)
        await pilot.press("up")
        await pilot.pause(0.5)
        return app.export_screenshot()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for model in ("RN_1", "RN_2"):
            config = RunConfig(model=model, seed=0)
            print(f"training {model}", file=sys.stderr)
            carry_out(directory.create(Path(folder), config), lambda _event: None, lambda: False)
        picture = asyncio.run(_picture(Path(folder)))
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
