"""Place and follow phone calls made by voice agents."""

__version__ = "0.1.0"
