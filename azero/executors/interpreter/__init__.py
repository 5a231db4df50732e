"""The definition of behaviour: a lax.switch interpreter under vmap."""
