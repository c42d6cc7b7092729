"""Results for people: tables, their text in five formats, figures, and files that are whole or not there.

`table.py` is the type, `render.py` writes it as text, `figures.py` draws (`style.py` holds colours and sizes),
`output.py` is the only door to the disk. Nothing here computes a time: what comes in is already the result.
pandas and matplotlib are slow to import, so the command line imports this package only in the verb that needs it.
"""
