"""Rendering, contained: what Helm or Kustomize would make of files that are other people's text."""
