"""Networks to and from the rest of the world: bioimage.io packages."""
