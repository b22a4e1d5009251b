"""Live state: feeds, the store of immutable snapshots, and following a commit until its pods are ready."""
