"""Image files in class folders or listed in a text file."""
