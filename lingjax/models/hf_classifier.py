"""What a folder's `config.json` says of its pair classifier: whether it has one, its labels, how it reads pairs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingjax.errors import InputError, nearest, raise_problems

PAIRS_KEY = "lingjax_pairs"
"""Where `config.json` keeps the pair format and limits that a classifier was trained with."""

PAIR_LABELS = ("not_a_match", "match")
"""Names of the classes 0 and 1 of a classifier trained here."""

_MOST = 100_000  # classes that a config may claim: names are made for each
_NAMELESS = ("LABEL_0", "LABEL_1")  # as transformers names the classes of a config without names

# Tasks whose classes have no classifier at all: nothing to say of it.
_WITHOUT_CLASSIFIER = ("Model", "ForMaskedLM", "LMHeadModel", "ForPreTraining", "ForCausalLM")


def read_architectures(theirs: Mapping[str, Any]) -> list[str]:
    """Returns the classes that a config names, none if it names none.

    Raises:
      InputError: they are no list of names.
    """
    architectures = theirs.get("architectures") or []
    if not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures):
        raise InputError(f"config.json: architectures={architectures!r} is no list of names; correct or remove it")
    return architectures


def read_labels(theirs: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names of a folder's classes by their number, `LABEL_0` and so on where it has none.

    Raises:
      InputError: the names are no object of number to text, or as many as another key says.
    """
    names, count = theirs.get("id2label"), theirs.get("num_labels")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MOST):
        raise InputError(f"config.json: num_labels={count!r} is no number of classes; correct or remove it")
    if names is None:
        return tuple(f"LABEL_{number}" for number in range(count or 2))
    expected = "an object of the classes' numbers, from 0, to their names; correct or remove it"
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise InputError(f"config.json: id2label={names!r} is not {expected}")
    if sorted(names) != sorted(str(number) for number in range(len(names))):
        raise InputError(f"config.json: id2label names the classes {', '.join(sorted(names))}: not {expected}")
    if count not in (None, len(names)):
        raise InputError(f"config.json: num_labels={count}, but id2label names {len(names)} classes; remove one")
    return tuple(names[str(number)] for number in range(len(names)))


def says_more(labels: tuple[str, ...]) -> bool:
    """Says whether labels have a meaning of their own, so that class 1 may be no match."""
    return labels not in (PAIR_LABELS, _NAMELESS)


def why_not_pair_classifier(theirs: Mapping[str, Any]) -> str | None:
    """Returns why a folder's classifier, if it has one, is not one of pairs; None if it is.

    Other tasks' classes give their classifier the same name, so that only the config tells them apart.

    Raises:
      InputError: the config cannot be understood.
    """
    architectures = read_architectures(theirs)
    if architectures and not any(name.endswith("ForSequenceClassification") for name in architectures):
        return f"classifier of another task, {', '.join(architectures)}"
    labels = read_labels(theirs)
    if len(labels) != len(PAIR_LABELS):
        return f"classifier of {len(labels)} {'class' if len(labels) == 1 else 'classes'}, not of {len(PAIR_LABELS)}"
    problem = theirs.get("problem_type")
    if problem not in (None, "single_label_classification"):
        return f"classifier of another task, problem_type={problem!r}"
    return None


def has_classifier(theirs: Mapping[str, Any]) -> bool:
    """Says whether a config names a class that classifies something, of whatever task."""
    architectures = read_architectures(theirs)
    return any(not name.endswith(_WITHOUT_CLASSIFIER) for name in architectures)


def read_pair_settings(theirs: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """Returns how a folder of ours says that its classifier reads pairs; None if it does not say.

    Raises:
      InputError: it says so in a way that cannot be used; every such key is named.
    """
    settings = theirs.get(PAIRS_KEY)
    if settings is None:
        return None
    place = f"{folder / 'config.json'}: {PAIRS_KEY}"
    if not isinstance(settings, dict):
        raise InputError(f"{place}={settings!r} is no object of pair_format and max_length; correct or remove it")
    checks = {
        "pair_format": lambda value: isinstance(value, str),
        "max_length": _is_count,
        "max_characters": lambda value: value is None or _is_count(value),
        "text": lambda value: isinstance(value, str),
    }
    problems = [f"{name} is not known, {nearest(name, checks)}" for name in sorted(settings.keys() - checks.keys())]
    for name, is_valid in checks.items():
        if name not in settings and name in ("pair_format", "max_length"):
            problems.append(f"{name} is missing")
        elif name in settings and not is_valid(settings[name]):
            names = {"pair_format": "the name of a pair format", "text": "the name of a preparation of texts"}
            expected = names.get(name, "a whole number, at least 1")
            problems.append(f"{name}={settings[name]!r} is not {expected}")
    raise_problems(place, problems)
    return dict(settings)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
