"""Reads: SQL to JSON, one file for each noun. PostgreSQL writes the answers; nothing is parsed and built again."""
