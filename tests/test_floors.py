"""The oldest versions that `make floors` installs."""

from __future__ import annotations

import re

from tests.floors import oldest_versions


def test_every_dependency_has_a_lower_bound_to_try() -> None:
    oldest = oldest_versions()
    assert {"torch", "textual", "pytest"} <= {requirement.partition("==")[0] for requirement in oldest}
    assert [requirement for requirement in oldest if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+", requirement)] == []
