"""Readers of the file formats that builders accept; they know syntax, not meaning."""
