"""The exam's program, executed with a look at each of its statements."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from core.exam.program import Statements, statements
from core.messages import N_, Message, reason

Look = Callable[[int, dict[str, Any]], None]
"""Called before each statement with its line and the program's variables; it may raise `Left`. Its errors end the
program, but are not the program's own."""


class Left(BaseException):
    """Raised to end the program before its end; not an error that the program could catch."""


def unseen(error: Exception) -> Message:
    """Say what went wrong while the program was looked at."""
    text = N_("The program itself has not failed, but what it made cannot be shown: {kind}: {reason}")
    return Message(text, {"kind": type(error).__name__, "reason": reason(error)})


class TracedProgram:
    """A program, to be executed once, in the thread that calls `run`; only its own statements are looked at."""

    def __init__(self, source: str, root: Path, look: Look, epochs: int | None = None) -> None:
        """Take the data from `root` instead of './data', download none, and train for `epochs`, if they are given."""
        self.statements: Statements = statements(source)
        self.printed: list[str] = []
        self.fault: Message | None = None
        self._code = _compiled(source, root, epochs)
        self._look = look
        self._last = 0
        self.names: dict[str, Any] = {"__name__": "__main__", "print": self._print}

    def run(self) -> None:
        """Execute the program; an exception that ends it is kept in `fault`."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            exec(self._code, self.names)
        except Left:
            pass
        except (Exception, SystemExit) as error:
            self.fault = Message("{kind}: {reason}", {"kind": type(error).__name__, "reason": reason(error)})
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code is not self._code:
            return None
        line = self.statements.of_line.get(frame.f_lineno, 0)
        if event == "line" and line not in (0, self._last):  # a statement of several lines is executed in parts
            self._last = line
            self._look_at(line)
        return self._trace

    def _look_at(self, line: int) -> None:
        """Look at the program before the statement at `line`. Raises `Left`."""
        try:
            self._look(line, self.names)
        except Exception as error:
            self.fault = unseen(error)
            raise Left from error

    def _print(self, *what: object) -> None:
        self.printed.append(" ".join(map(str, what)))


class _Constants(ast.NodeTransformer):
    """Replaces what the program says of its data folder, of downloads and of its epochs; all lines stay."""

    def __init__(self, root: Path, epochs: int | None) -> None:
        self._root = root
        self._epochs = epochs

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        if node.arg == "root" and isinstance(node.value, ast.Constant):
            node.value = ast.copy_location(ast.Constant(str(self._root)), node.value)
        elif node.arg == "download" and isinstance(node.value, ast.Constant):
            node.value = ast.copy_location(ast.Constant(False), node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if self._epochs is not None and ast.unparse(node.targets[0]) == "num_epochs":
            node.value = ast.copy_location(ast.Constant(self._epochs), node.value)
            return node
        return self.generic_visit(node)


def _compiled(source: str, root: Path, epochs: int | None) -> CodeType:
    tree = _Constants(root, epochs).visit(ast.parse(source))
    return compile(tree, "<exam>", "exec")
