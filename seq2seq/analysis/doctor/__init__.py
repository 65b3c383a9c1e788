"""What is wrong with a corpus and with the machine, before hours are spent on them."""
