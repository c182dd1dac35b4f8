"""Pure functions over a rendered Compose model. Never interpolates and never changes the user's model."""
