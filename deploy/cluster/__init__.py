"""The production shape on one machine: `python -m deploy.cluster up`.

    edge (nginx, TLS, firewall) → 3 Laurels nodes → PostgreSQL under Patroni, with etcd → Redis under Sentinel
    → Prometheus, Alertmanager, exporters → log shipper

`parts/` says what each part is: its command, the user it runs as, how its health is asked. `shape.py` puts them in
the order of their start. `supervisor.py` starts, asks and stops them; `keeper.py` starts again what ends by itself;
`processes.py` is what they know of the system. `network.py` gives databases and Redis machines of their own, for who
wants to cut what is between them.
The configuration files are those of `deploy/`, filled in by `render.py`, so that what ships is what runs.

Everything listens on loopback alone and lives under one folder, by default `./cluster`.
"""
