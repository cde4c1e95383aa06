"""What a wrong gradient may be: each module tells the bugs of one kind by their marks in a case."""
