"""Migration at scale: a cost model, queues at a server, lineages in a gene pool."""
