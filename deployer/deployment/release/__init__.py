"""Release of a deploy job: files, variables and images, found, checked and pulled. Touches no container."""
