"""MLPerf's log: events, and the epochs that they tell."""
