import pytest

from goalward.formal.lean import Lean
from goalward.formal.lean_find import INSTALL, LeanSettings, find_lean, library


@pytest.fixture(scope="session")
def lean() -> Lean:
    """The real Lean of the `lean` extra."""
    if library() is None:
        pytest.skip(f"NO LEAN HERE, so no proof was checked by it: {INSTALL}")
    return find_lean(LeanSettings(workers=1))
