"""Pictures of searches and of what they found."""
