"""The rules of sla: pure, synchronous, told the time."""
