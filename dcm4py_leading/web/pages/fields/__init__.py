"""What can be edited in an entry: its fields by task, how a value is checked, said in words and explained."""
