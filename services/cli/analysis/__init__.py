"""`emostream analyze`: a whole pipeline of private processes for each recording."""
