import subprocess
import sys

import pytest


@pytest.mark.parametrize("heavy", ["tensorflow", "jax", "grain", "transformers"])
def test_importing_the_data_package_imports_nothing_heavy(heavy):
    code = f"import sys, lingjax.data; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
