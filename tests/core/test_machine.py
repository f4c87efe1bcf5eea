"""The cores that a process may use: quotas of control groups, as laid out by kernels and containers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from core import machine

UNLIMITED = {"cpu.max": "max 100000"}


def quota_of(folder: Path, groups: str, mounts: str, limits: Mapping[str, Mapping[str, str]]) -> float | None:
    """Return the quota of a process with these files in `/proc/self`; `limits` are files under the mount point."""
    process = folder / "self"
    process.mkdir()
    (process / "cgroup").write_text(groups)
    (process / "mountinfo").write_text(mounts.replace("MOUNT", str(folder / "cgroup").replace(" ", "\\040")))
    for group, files in limits.items():
        (folder / "cgroup" / group).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / "cgroup" / group / name).write_text(content + "\n")
    return machine.cpu_quota(process)


OTHER_MOUNTS = "22 27 0:21 / /proc rw,relatime - proc proc rw\n27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw,cpu\n"
VERSION_2 = OTHER_MOUNTS + "41 31 0:38 / MOUNT rw,nosuid,relatime shared:9 master:3 - cgroup2 cgroup2 rw,nsdelegate\n"
VERSION_1 = (
    OTHER_MOUNTS
    + "33 31 0:30 / MOUNT/memory rw - cgroup cgroup rw,memory\n"
    + "32 31 0:29 / MOUNT/cpu,cpuacct rw - cgroup cgroup rw,cpuacct,cpu\n"
)


def of_version_1(quota: int) -> dict[str, str]:
    return {"cpu.cfs_quota_us": str(quota), "cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("groups", "mounts", "limits", "expected"),
    [
        pytest.param("0::/\n", VERSION_2, {"": {}}, None, id="v2-root"),
        pytest.param("0::/a/b\n", VERSION_2, {"a": UNLIMITED, "a/b": UNLIMITED}, None, id="v2-unlimited"),
        pytest.param("0::/a/b\n", VERSION_2, {"a/b": {"cpu.max": "150000 100000"}}, 1.5, id="v2"),
        pytest.param(
            "0::/a/b/c\n",
            VERSION_2,
            {
                "a": {"cpu.max": "300000 100000"},
                "a/b": {"cpu.max": "20000 10000"},
                "a/b/c": {"cpu.max": "800000 100000"},
            },
            2.0,
            id="v2-least-of-ancestors",
        ),
        pytest.param("0::/a:b\n", VERSION_2, {"a:b": {"cpu.max": "50000 100000"}}, 0.5, id="v2-colon-in-its-name"),
        pytest.param("0::/\n", VERSION_2, {"": {"cpu.max": "50000 100000"}}, 0.5, id="v2-namespace"),
        pytest.param("0::/docker/abc\n", VERSION_2, {"": {"cpu.max": "50000 100000"}}, 0.5, id="v2-path-of-the-host"),
        pytest.param(
            "0::/../x\n",
            VERSION_2,
            {"": {"cpu.max": "50000 100000"}, "../x": {"cpu.max": "10000 100000"}},
            0.5,
            id="v2-outside-of-the-namespace",
        ),
        pytest.param("0::/a\n", VERSION_2, {"a": {"cpu.max": "nonsense"}}, None, id="v2-unreadable"),
        pytest.param("0::/a\n", VERSION_2, {"a": {"cpu.max": "100000 0"}}, None, id="v2-without-a-period"),
        pytest.param(
            "5:cpuacct,cpu:/a\n4:memory:/m\n0::/\n",
            VERSION_1,
            {"cpu,cpuacct/a": of_version_1(-1)},
            None,
            id="v1-unlimited",
        ),
        pytest.param(
            "5:cpuacct,cpu:/a/b\n4:memory:/m\n0::/\n",
            VERSION_1,
            {"cpu,cpuacct/a": of_version_1(50_000), "cpu,cpuacct/a/b": of_version_1(-1), "memory/m": of_version_1(1)},
            0.5,
            id="v1-parent",
        ),
        pytest.param(
            "5:cpu:/docker/abc/x\n",
            OTHER_MOUNTS + "32 31 0:29 /docker/abc MOUNT rw - cgroup cgroup rw,cpu\n",
            {"x": of_version_1(250_000)},
            2.5,
            id="v1-container",
        ),
        pytest.param("", "", {}, None, id="no-control-groups"),
    ],
)
def test_quota(
    tmp_path: Path, groups: str, mounts: str, limits: Mapping[str, Mapping[str, str]], expected: float | None
) -> None:
    folder = tmp_path / "with a space"
    folder.mkdir()
    assert quota_of(folder, groups, mounts, limits) == expected


@pytest.mark.parametrize(("quota", "cores"), [(None, 4), (0.5, 1), (1.5, 1), (2.0, 2), (64.0, 4)])
def test_a_quota_counts_like_affinity(monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    monkeypatch.setattr(machine, "cores_by_affinity", lambda: 4)
    assert machine.usable_cores() == cores


@pytest.fixture
def limited_group() -> Iterator[Path]:
    """Return a real control group with half a core, in which there is no process yet."""
    name = f"mnist-tui-test-{os.getpid()}"
    for parent, limit in (("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"), ("/sys/fs/cgroup", "cpu.max")):
        group = Path(parent, name)
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / limit).exists():
                (group / limit).write_text("50000")
                yield group
                return
        finally:
            with suppress(OSError):  # of a file system that is no cgroup's, the file is left
                group.rmdir()
    pytest.skip("no control group can be made here")


def test_a_real_quota(limited_group: Path) -> None:
    """A quota of half a core leaves one of the machine's."""
    program = (
        f"import os, pathlib; pathlib.Path({str(limited_group / 'cgroup.procs')!r}).write_text(str(os.getpid()))\n"
        "from core import machine; print(machine.cpu_quota(), machine.usable_cores())"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["0.5", "1"]
