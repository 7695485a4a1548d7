"""Tests of what the desk reads."""
