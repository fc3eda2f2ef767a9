"""Puts the routes of all slices together, and serves the contract and its reference page."""
