"""Decorators of tests."""

import pytest

from support.host import SUFFIX

# The test is run once for each language: its argument `language` is "python" or "tcl".
LANGUAGES = pytest.mark.parametrize("language", SUFFIX)
