"""Commands that train, evaluate and report; run as `python -m experiments.NAME` in a checkout, or `lingjax NAME`."""
