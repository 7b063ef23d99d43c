"""Reports and pictures of finished runs. Reads run folders, never trains."""
