"""Loads and stores by explicit statements, one file for each noun; the only SELECT ... FOR UPDATE."""
