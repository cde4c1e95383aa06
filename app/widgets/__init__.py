"""Small widgets that panels are made of; each knows numbers and colours, none knows the session."""
