"""Images of backends: what goes into one, how it is built, and whether it is there."""
