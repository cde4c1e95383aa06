"""The window of Nablascope: panels that show what the engine computes, and nothing that computes it."""
