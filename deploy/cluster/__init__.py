"""Run the production setup on one machine: `python -m deploy.cluster up`.

    edge (nginx, TLS, firewall) → 3 Laurels nodes → PostgreSQL under Patroni, with etcd → Redis under Sentinel
    → Prometheus, Alertmanager, exporters → log shipper

The configuration is that of `deploy/`, filled in, so what ships is what runs. Everything listens only on loopback and
lives under one folder, by default `./cluster`.

parts/      each part: command, user, health check; part.py: what a part is
shape       the parts in start order
layout      folders, ports, users and passwords of a cluster
render      configuration templates, filled in
supervisor  starts and stops parts; keeper restarts those that end
processes   processes that outlive the command which started them
network     network namespaces: "machines" on one kernel
screen      the table of parts
drill       the restore drill: backs up, restores to a point in time, compares
"""
