"""A trained net in the formats in which others run it: a module for each of them, and what they share."""
