"""What another site, another user of the machine or a hostile file must not be able to do."""
