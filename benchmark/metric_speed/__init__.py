"""`synoptic benchmark metrics`: our metrics held against trusted implementations, in value and in speed."""
