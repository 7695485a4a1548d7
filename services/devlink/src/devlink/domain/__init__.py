"""The rules of devlink: pure, synchronous, told the time."""
