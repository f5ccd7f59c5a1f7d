"""The production setup around the nodes: the files of each part, and `cluster`, which starts all on one machine."""
