"""The verbs: what a person can have done, each as one function `(workspace, request, progress) -> result`.

`registry` lists them; `requests` holds what their requests share; the other files hold a group of verbs each, the
request beside the function. The page's job, the command line and a notebook call the same function with the same
request, and what a verb works on (which rows, which of them for training) is decided inside it.
"""
