"""One file for each format of log; `perfmodel.traces.logs.read` says what such a file has."""
