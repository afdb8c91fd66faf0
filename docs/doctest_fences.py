"""Shows the examples of docstrings as code on the site: a griffe extension that fences paragraphs of `>>>`."""

import re
from typing import Any

import griffe


class DoctestFences(griffe.Extension):
    """Fences every run of lines from a `>>>` to the next empty line."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object that is read."""
        if obj.docstring:
            obj.docstring.value = re.sub(
                r"^( *)(>>> (?:.|\n(?!\s*\n))*)", r"\1```python\n\1\2\n\1```", obj.docstring.value, flags=re.MULTILINE
            )
