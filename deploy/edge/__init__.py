"""nginx in front of the nodes: templates, firewall rules, and the start of its container."""
