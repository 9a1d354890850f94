"""What the coordinator remembers: a database of facts and a folder of content-addressed objects."""
