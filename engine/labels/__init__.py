"""What a person says about images: a history of events on content ids, replayed over any clustering."""
