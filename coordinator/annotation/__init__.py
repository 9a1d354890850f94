"""Labels of an instrument's images: in from CVAT, out to CVAT, and as cases to score on."""
