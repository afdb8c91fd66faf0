"""What building a dataset needs beyond what training does."""

import importlib.util

from lingjax.errors import InputError

_MODULES = ("tensorflow_datasets", "importlib_resources", "pyarrow", "requests")


def check_installed() -> None:
    """Raises an InputError unless the extra "prep" is installed, before anything is read."""
    missing = [module for module in _MODULES if importlib.util.find_spec(module) is None]
    if missing:
        raise InputError(f'datasets are built with {", ".join(missing)}, the extra "prep": pip install -e ".[prep]"')
