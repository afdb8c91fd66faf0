"""Shipped configurations: `base.py` holds every key and its default; the others change what their recipe needs."""
