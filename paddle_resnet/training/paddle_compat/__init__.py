"""What `ImageClassifier` needs beside the training loop to be a `paddle.Model`."""
