"""Prometheus, Alertmanager and Grafana: scraping, alerts, dashboards."""
