"""What the user sees: one module per screen. Screens are given a `backends.workspace.Workspace` and know no transport."""
