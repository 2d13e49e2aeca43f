"""A model in actors of Ray: the code in an actor, the pool of actors, and the cluster they run on."""
