"""What can be wrong with a corpus: each check looks at the texts alone, and names the rows."""
