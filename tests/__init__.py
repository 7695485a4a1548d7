"""The tests of PSA Desk, mirroring the source."""
