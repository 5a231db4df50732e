"""What makes programs: starts, children, and the rules by which they are taken."""
