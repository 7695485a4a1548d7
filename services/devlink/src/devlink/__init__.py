"""The devlink service of PSA Desk."""
