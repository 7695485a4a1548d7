"""Business time, proved: against a slow second clock, by laws, and case by case as it was decided."""
