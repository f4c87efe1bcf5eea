"""The command, run as `python -m tui_app`."""

from tui_app.cli import main

main()
