"""Every verb of Kindred as one function, and the processes that run them outside the page.

`tasks` is the registry of verbs, `job` starts, watches and stops their processes, `runner` is the inside of one.
Page, command line and notebook call the same functions with the same requests.
"""
