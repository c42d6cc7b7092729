"""Results for people: tables, their text in five formats, figures, and files that are whole or not there.

`table.py` is the type, `render.py` writes it as text, `figures.py` draws (`style.py` holds colours and sizes),
`perfmodel/output.py` is the only door to the disk. Nothing here computes a time: what comes in is already the result.
pandas and matplotlib are slow to import, so the command line imports this package only in the verb that needs it.
"""

import logging

# Where HOME cannot be written matplotlib would tell the user of its caches, already while it is imported.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
