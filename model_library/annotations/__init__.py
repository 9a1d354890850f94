"""What people draw on micrographs: shapes, CVAT files, and the masks that they mean."""
