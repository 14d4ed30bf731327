"""Infrastructure: what the platform stands on."""
