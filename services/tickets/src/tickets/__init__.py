"""The tickets service of PSA Desk."""
