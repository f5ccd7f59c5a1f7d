"""A PostgreSQL server of our own under a data folder.

server              starts, shares and stops it
postgres_binaries   initdb and postgres as child processes
folder_lock         file locks that decide who owns the folder
"""
