"""What surrounds the nodes in production. Files for each part, and `cluster`, which starts them all on one machine."""
