"""The HTTP API: one file per area holds its request structs, its handlers and its routes.

actions, receipts, action_types,
  server_actions                              completing actions, as a user or as a server
boards, people, live                          what the public sees
accounts, own_data                            log-in and the own account; the own ledger rows, export and erasure
admin_types, admin_boards, admin_users, admin_fairness, admin_service, api_keys   what operators read and change
health                                        liveness, readiness, metrics, verification of the index
pages, documents, openapi, asyncapi           pages; the API documents, made from the routes and frames
routes, codes                                 the table of all endpoints; groups of error codes that routes share
"""
