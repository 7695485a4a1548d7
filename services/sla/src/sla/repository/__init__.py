"""Loads and stores what sla keeps: every statement of a command, and every lock."""
