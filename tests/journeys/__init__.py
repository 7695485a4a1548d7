"""Journeys: every service as its own processes, through the public APIs, on the real broker and database."""
