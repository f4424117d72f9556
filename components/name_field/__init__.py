"""The name field: a line of text with suggestions that keeps its focus and what was typed over every run of the page.

Enter names, Escape leaves the field and keeps the text, and a name typed while Python is still busy is not lost.
"""
