"""What runs inside the sandbox. Standard library only, quick to import, and nothing here knows a secret.

`namespaces` leaves the host, `confine` gives up every power, `init` is process 1 and holds the verdict,
`remote` lets tests in process 1 use objects that live in the process of the untrusted code, `wire` is their
language.
"""
