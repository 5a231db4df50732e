"""Tables of the user's own: read, prepared, divided, and made into tasks."""
