"""Argo CD over HTTP: what it says as typed values, the calls, the streams, and who we are to it."""
