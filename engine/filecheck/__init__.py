"""The check of a whole file of somebody's own code: in a process of its own, everything in it of a known form."""
