"""Commands that train, evaluate and report; run from the repository root as `python -m experiments.NAME`."""
