"""MLflow's stores: the database, the folders, the parameters of a run."""
