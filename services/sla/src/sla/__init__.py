"""The sla service of PSA Desk."""
