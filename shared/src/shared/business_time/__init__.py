"""Business time: open seconds of a calendar, on integers; pure, and the same in every service."""
