"""nginx before the nodes: templates, firewall rules, and the start of its container."""
