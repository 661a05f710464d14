"""The changes, from the first."""
