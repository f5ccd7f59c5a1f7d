"""Users, action types and the ledger as files, out of one ledger and into another.

kinds      the kinds of rows, the formats, and what to do about a bad row
files      how each format is written, opening files, and the error that ends an import or export
text       lines of a text file in UTF-8 or UTF-16, of bounded length
reading    records out of CSV and JSONL, one by one, each with its line number
exporting  rows of the ledger into a file
importing  records of a file into the ledger, in batches
"""
