"""The watch: asks an address of this server every few seconds whether something has changed, and then runs the page."""
