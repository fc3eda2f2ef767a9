"""Organizations, their workspaces, and the API keys by which programs prove which workspace they are of."""
