"""The files here are a script and its parts, which find each other where it runs: no tests, nothing to import."""

collect_ignore_glob = ["*.py"]
