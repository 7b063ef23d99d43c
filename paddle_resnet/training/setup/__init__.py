"""From a recipe to everything that the loop needs."""
