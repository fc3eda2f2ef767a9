"""The command line `bolti`. Plain text; colors only where it writes to a terminal."""
