"""The encoders, a file each; `registry` lists them. Nothing here imports torch until an encoder is built."""
