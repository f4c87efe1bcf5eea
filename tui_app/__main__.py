"""`python -m tui_app`: the command `mnist-tui`, wherever its script lies."""

from __future__ import annotations

from tui_app.cli import main

if __name__ == "__main__":
    main()
