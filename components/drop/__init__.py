"""The drop zone: a path that is dragged onto it opens; what a browser keeps to itself about dropped files is said."""
