"""How fast images are restored: the engine against MONAI, bioimage.io and the processor's own limit."""
