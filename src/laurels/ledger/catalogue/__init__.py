"""Types, boards and settings that operators define: kept in memory by every node, edited under a version.

catalogue       action types, boards and their open windows
windows         windows that a board has had
type_editor, board_editor   create, edit and archive, with audit and journal
live_settings   settings that change while nodes run
"""
