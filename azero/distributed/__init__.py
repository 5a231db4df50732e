"""A search spread over processes and machines."""
