"""lingjax: do a language model's skills carry over between natural language and biological sequences?

The names below are loaded when they are first used, so that `import lingjax` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lingjax.study.config import EvaluationConfig, ModelSettings, StudyConfig, TrainSettings
    from lingjax.study.evaluate import evaluate
    from lingjax.study.publish import read_reports
    from lingjax.study.text_model import load_model
    from lingjax.study.transfer import transfer

__version__ = "0.1.0"

__all__ = [
    "EvaluationConfig",
    "ModelSettings",
    "StudyConfig",
    "TrainSettings",
    "evaluate",
    "load_model",
    "read_reports",
    "transfer",
]

_HOMES = {
    "EvaluationConfig": "config",
    "ModelSettings": "config",
    "StudyConfig": "config",
    "TrainSettings": "config",
    "evaluate": "evaluate",
    "load_model": "text_model",
    "read_reports": "publish",
    "transfer": "transfer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lingjax' has no attribute '{name}'")
    return getattr(importlib.import_module(f"lingjax.study.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
