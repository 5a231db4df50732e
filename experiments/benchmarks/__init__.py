"""How fast azero is: fair programs, rates, stages of a search, tables and pictures."""
