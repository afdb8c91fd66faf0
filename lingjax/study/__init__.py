"""Judging a transfer as a library call: tasks, fine-tunings, predictions, controls, verdicts.

`lingjax/__init__.py` names what is public; importing this package costs nothing.
"""
