"""What every service of PSA Desk stands on: the published language, the runtime, the edge."""
