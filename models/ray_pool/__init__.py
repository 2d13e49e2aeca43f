"""A model in actors of Ray: the code in an actor, their pool, and the cluster they run on."""
