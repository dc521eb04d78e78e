"""Fields of an entry that can be edited, by task: how a value is checked, said in words and explained."""
