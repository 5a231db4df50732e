"""Facts about programs: what is live, where each operand comes from, which programs are equal."""
