"""What every HTTP service of the course shares: a capped body, keys and request ids, one log line, a clean end."""
