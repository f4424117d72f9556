"""The rail's fold: a button that leaves icons only, remembered by the browser, and the keys that the whole app has."""
