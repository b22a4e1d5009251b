"""The words of Tiphys as frozen values, and the pure functions that decide with them. No transport, no Git, no files."""
