"""From a folder or benchmark set to known images: scan, decode, thumbnails, quality, sampling."""
