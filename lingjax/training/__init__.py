"""Training: where a model comes from, one turn of the loop, the two jobs, and what a run's folder keeps.

Importing this package imports nothing else; each module is imported by its own name.
"""
