"""The inventory service of PSA Desk."""
