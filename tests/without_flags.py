"""Commands as modules of one process, whose flags would otherwise clash."""

import importlib
from types import ModuleType

from absl import flags


def import_without_flags(name: str) -> ModuleType:
    """Imports a module and takes the flags away that it defines, so that another may define them too."""
    before = set(flags.FLAGS)
    module = importlib.import_module(name)
    flags.FLAGS.remove_flag_values(set(flags.FLAGS) - before)
    return module
