"""An Argo CD of our own on loopback: real Git, real rendering, simulated clusters (`python -m backends.sandbox`).

It refuses what a real server refuses and has its traps, because the tests use the same server. Nothing of the product imports it.
"""
