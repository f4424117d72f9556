"""What Streamlit lacks, as Components v2: a virtual gallery and a WebGL map, each a Python face and its JavaScript.

The faces take NumPy arrays and give NumPy arrays; big arrays travel once as bytes (`transfer`), selections come back
as ranges or polygons and are resolved in Python. Nothing here knows what a cluster or a label is.
"""
