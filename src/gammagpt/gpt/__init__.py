"""gpt: the minimal GPT, its initialization, its configuration, and the training loop."""
