"""nginx in front of the nodes: templates, firewall rules, the start of its container; `cost` measures the firewall."""
