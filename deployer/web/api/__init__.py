"""HTTP interface of the receiver in Flask: one module per resource. Decides nothing, asks `ingress`."""
