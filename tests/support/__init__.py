"""Parts that tests share; nothing here is a test.

server, programs, polling, ports, folders   real processes, waiting for what they do, free ports, shared folders
postgres, pgbouncer, redis, sentinels       servers of a test's own, which can be killed, paused and brought back
fault_proxy                                 a TCP proxy that fails as networks do
node, operators                             a node inside the test's event loop; operators' commands beside it
raw_http, http_fuzz, edge                   HTTP as bytes, requests no client would send, a client through the edge
issuer, keys                                an external issuer of tokens; API keys and signed bodies
receipts                                    the receipt of an action that is sent again
checker                                     every promise checked against the answers that clients got
schema, plans, statements                   the schema as text; the statements of the ledger, and their plans
purity, coverage_floor                      which tests start no program; the floors of branch coverage
"""
