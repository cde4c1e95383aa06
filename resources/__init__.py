"""Everything Nablascope ships that is not code: icons, recipes, data."""
