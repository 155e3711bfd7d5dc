"""What runs inside the sandbox. Standard library only, quick to import, and nothing here knows a secret.

`namespaces` leaves the host, `confine` gives up every power, `calls` says which system calls are refused, `init` is
process 1 and holds the verdict. Tests in process 1 use objects that live in the process of the untrusted code:
`remote` is their side of the line, `served` the code's, `peer` the line, `wire` the language on it.
"""
