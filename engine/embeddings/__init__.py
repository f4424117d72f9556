"""From images to vectors: encoders, the pipeline that feeds them, the store that never embeds twice."""
