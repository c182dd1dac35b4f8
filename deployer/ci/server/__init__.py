"""HTTP with the deployer's server: authentication, deploy request, events, confirmation."""
