"""What one experiment alone has beside its settings, tasks and arms: its work and its report."""
