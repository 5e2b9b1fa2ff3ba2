"""One progress bar for many runs: tokens, tokens/s, loss, and the time left. Quiet when unseen."""

import sys
import threading
from contextlib import contextmanager


class Progress:
    """A bar over the tokens of all runs. The clock starts with the first step that is reported,
    so that starting the processes and compiling do not spoil the estimate of the time left.
    """

    def __init__(self, configs):
        from tqdm import tqdm

        self._left = {config.key: config.tokens for config in configs}
        self._count = len(self._left)
        total = sum(self._left.values())
        # smoothing=0: the speed is the mean over the whole time; bursts say nothing.
        self.bar = tqdm(total=total, unit="tok", unit_scale=True, smoothing=0, disable=_unseen())
        self._say()

    def steps(self, keys, tokens: int, loss: float) -> None:
        """Each of these runs, which train together, has trained on so many tokens more."""
        if self.bar.n == 0:
            self.bar.unpause()
        members = f", {len(keys)} members" if len(keys) > 1 else ""
        self.bar.set_postfix_str(f"loss {loss:.3f}{members}", refresh=False)
        for key in keys:
            self._advance(key, tokens)

    def done(self, record) -> None:
        """A run has ended: what it did not report (it diverged, or is far away) counts as done."""
        self._advance(record.key, self._left[record.key])
        del self._left[record.key]
        self._say()

    def _advance(self, key: str, tokens: int) -> None:
        tokens = min(tokens, self._left.get(key, 0))
        if tokens:
            self._left[key] -= tokens
            self.bar.update(tokens)

    def _say(self) -> None:
        self.bar.set_description(f"{self._count - len(self._left)} of {self._count} runs")


@contextmanager
def progress_bar(configs):
    """A Progress that is closed at the end, whatever happens."""
    progress = Progress(configs)
    try:
        yield progress
    finally:
        progress.bar.close()


@contextmanager
def listening(progress: Progress, queue):
    """Hand on to `progress` what other processes put into the queue, until the block ends."""

    def listen():
        while (message := queue.get()) is not None:
            progress.steps(*message)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        queue.put(None)
        thread.join(timeout=5)


def every_percent(configs, report):
    """A `progress(step, loss)` for train_stack that calls report(keys, tokens, loss) at times."""
    config, keys = configs[0], [config.key for config in configs]
    tokens_of_a_step = config.batch_size * config.model.block_size
    steps_at_once = max(1, config.steps // 100)

    def progress(step: int, loss: float) -> None:
        if (step + 1) % steps_at_once == 0:
            report(keys, steps_at_once * tokens_of_a_step, loss)

    return progress


def _unseen() -> bool:
    """Neither a terminal nor a notebook shows it. That ipykernel was imported says nothing: tests
    and scripts import it too; in a notebook it is ipykernel that stderr belongs to."""
    return not (sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel"))
