"""The source of a custom network, as a run records it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.networks import own_source
from tests.core.training.sample_runs import carried_out


@pytest.mark.slow
def test_every_file_that_a_network_loaded_counts(tmp_path: Path) -> None:
    """Those it imports in the midst of its training do too, whatever their dates say; an unused neighbour does not."""
    network = tmp_path / "net.py"
    network.write_text(
        "import helper\nfrom torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n"
        "    def forward(self, x):\n        if len(x) == 4000:\n            import late\n"
        "        return super().forward(x)\n"
    )
    for name in ("helper", "late", "unused"):
        (tmp_path / f"{name}.py").write_text("N = 1\n")
    run = carried_out(tmp_path / "runs", model=f"{network}:Net", batch_size=4000, epochs=1)
    summary = run.summary()
    assert summary.state == "done"

    def current() -> bool:
        return own_source.is_current(run.path, f"{network}:Net", summary.created)

    assert current()
    for name, counts in (("net", True), ("helper", True), ("late", True), ("unused", False)):
        file = tmp_path / f"{name}.py"
        content, dates = file.read_bytes(), file.stat()
        file.write_bytes(content + b"#")
        os.utime(file, ns=(dates.st_atime_ns, dates.st_mtime_ns))
        assert current() is not counts
        file.write_bytes(content)
        os.utime(file, ns=(dates.st_atime_ns, dates.st_mtime_ns))
    recorded = run.path / "source.json"
    for damaged in (b"", b"[" * 100_000, b"{}", b'{"net.py": "\\u001b"}', b'{"net.py": 1}'):
        recorded.write_bytes(damaged)
        assert not current()
    for hostile in ("/dev/zero", "..", "no\\u0000name", "net.py"):
        recorded.write_text(f'{{"{hostile}": "{"0" * 64}"}}')
        assert not current()
    recorded.unlink()  # as in a run of an older version
    assert current()
    os.utime(network, (summary.created + 60, summary.created + 60))
    assert not current()
