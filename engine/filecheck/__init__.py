"""The check of a whole file of somebody's own code: in a process of its own, everything in it of a known form."""

BUNDLED_CHILD = "--check-file-child"  # makes a bundled program the process that checks one file
