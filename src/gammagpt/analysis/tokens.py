"""The loss of every token: classes, documents, and gains binned by a reference's loss."""

from ..data.text import Text

GAP = 0.1  # nats: a difference that the coloured passage shows


def shown(text: Text, token: int) -> str:
    """A token as people can read it: bytes that are no text alone in hex, like ‹E2 80›."""
    if token == len(text.ranks):
        return "⟨end of document⟩"
    data = text.encoding.decode_single_token_bytes(int(token))
    try:
        return data.decode("utf-8").replace("\n", "↵\n")
    except UnicodeDecodeError:
        return f"‹{data.hex(' ').upper()}›"
