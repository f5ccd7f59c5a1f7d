"""Prometheus, Alertmanager and Grafana: scraping, alerts (`rules/`, their tests in `tests/`), dashboards.

receiver  receives alerts in place of a pager
"""
