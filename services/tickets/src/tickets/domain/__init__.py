"""The rules of tickets: pure, synchronous, told the time."""
