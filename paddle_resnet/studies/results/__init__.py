"""What a run of a study comes to: results, verdict, table, and their page."""
