"""HTTP interface of the receiver in Flask: one module per resource. Never decides; asks `ingress`."""
