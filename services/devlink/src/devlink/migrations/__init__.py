"""The history of devlink's tables."""
