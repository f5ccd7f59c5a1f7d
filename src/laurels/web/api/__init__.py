"""The HTTP API: one file per area holds its structs, its handlers and its routes.

routes        the table of all endpoints
codes         groups of error codes that several routes share
actions       starting and completing actions as a user
receipts      what answers an action
action_types  what can be completed
server        completing on behalf of users, with an API key
boards        boards, their windows and places on them
live          WebSocket and Server-Sent Events
people        public profiles
accounts      registration, log-in, the own account;  mine: the own ledger rows, export, erasure
keys          API keys
health        liveness, readiness, metrics, and the proof of the index
admin_types, admin_boards, admin_users, admin_fairness, admin_service   what operators read and change
pages         pages and their files
openapi, asyncapi   the documents made from the routes and frames
"""
