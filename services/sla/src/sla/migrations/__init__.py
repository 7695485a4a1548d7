"""The history of sla's tables."""
