"""The asynchronous face. tools/unasync.py makes the synchronous one (`_sync`) from these files."""
