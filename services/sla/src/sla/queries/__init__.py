"""Reads: SQL to view models, one file for each noun."""
