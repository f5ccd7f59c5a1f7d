"""What requests and replies look like. The OpenAPI document is made from these structs.

fields      kinds of members that several requests share, and the strict base of all requests
accounts    accounts and their tokens
actions     completing actions, and what answers
people      what the public may ask about people
boards      boards, their windows and places on them; their rows are `ranking.scoreboards.Scoreboard`
mine        a user's own rows, export and erasure
operations  health, and the proof of the index
admin_catalogue, admin_users, admin_fairness, admin_service   what operators read and change
"""
