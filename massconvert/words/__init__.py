"""What is shown to people: other people's words made safe, plurals, and the commands that they are told to give."""
