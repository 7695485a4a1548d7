"""The rules of inventory: pure, synchronous, told the time."""
