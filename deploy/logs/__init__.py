"""Where logs go: template, life cycle, and the configurations of shippers."""
