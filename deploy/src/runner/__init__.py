"""desk: runs a whole installation of PSA Desk on one machine."""
