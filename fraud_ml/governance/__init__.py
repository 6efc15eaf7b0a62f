"""Who may let a candidate into the world, and how that is proven."""
