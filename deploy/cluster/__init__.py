"""Run the production setup on one machine: `python -m deploy.cluster up`.

    edge (nginx, TLS, firewall) → 3 Laurels nodes → PostgreSQL under Patroni, with etcd → Redis under Sentinel
    → Prometheus, Alertmanager, exporters → log shipper

`parts/` describes each part: command, user, health check. `shape.py` puts them in start order, `supervisor.py` starts
and stops them, `keeper.py` restarts those that end, `processes.py` deals with the system, `network.py` makes network
namespaces. The configuration is that of `deploy/`, filled in by `render.py`, so what ships is what runs.
Everything listens only on loopback and lives under one folder, by default `./cluster`.
"""
