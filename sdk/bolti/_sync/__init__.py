"""The synchronous face, made by tools/unasync.py from `_async` (but for pages.py)."""
