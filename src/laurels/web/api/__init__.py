"""Every endpoint: `routes` is the table, `wire` the structs, `handlers` the functions.

openapi, asyncapi   the documents made from them
"""
