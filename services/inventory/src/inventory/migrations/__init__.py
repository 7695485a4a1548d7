"""The history of inventory's tables."""
