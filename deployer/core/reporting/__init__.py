"""Words for people and fields for logs. Formats values, decides nothing."""
