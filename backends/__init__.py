"""What Tiphys drives: domain, Git, Argo CD, rendering, live state and the sandbox. No terminal, no Textual in here.

`import backends` loads none of its transports; each module imports the library it needs, the heavy ones late.
"""
