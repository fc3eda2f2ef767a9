"""Bolti server: AI voice agents on the phone network."""

__version__ = "0.1.0"
