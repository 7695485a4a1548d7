"""The history of the tickets service's tables."""
