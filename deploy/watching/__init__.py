"""Prometheus, Alertmanager and Grafana: what is asked, what is told to whom, what is shown."""
