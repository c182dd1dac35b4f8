"""GitHub webhooks: signature secrets, deliveries, triggers, image events, redelivery."""
