"""What limits count inside one transaction: slots, minutes and budgets.

Only what an admission's limits ask for is read; each is read once for all commands of a batch.
"""

from tollbridge.ledger.limits import Full, Window, correct, enter, is_rated, minute_of
from tollbridge.ledger.model import Admission, Budget, Limits, Refusal
from tollbridge.storage.memory import Counted, Memory
from tollbridge.storage.session import Row, Session
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis

ENVIRONMENT = KeyId("")
"""Stands for the environment as a whole where a key is named."""


class Counters:
    """The counters of the environments that a batch touches."""

    def __init__(self, session: Session, memory: Memory) -> None:
        self._session = session
        self._open = memory.under_way
        self._moves: list[tuple[EnvId, KeyId, int]] = []
        """What began and ended in this batch, until the others are counted."""
        self._windows = memory.windows
        self._changed_windows: dict[Counted, Window] = {}
        self._budgets = memory.budgets
        self._changed_budgets: dict[Counted, Budget] = {}

    def slot_refusal(self, admission: Admission) -> Refusal | None:
        """Whether a slot is free."""
        env_id, key_id = admission.env_id, admission.key_id
        limit = admission.key_limits.concurrency
        if limit and self._under_way((env_id, key_id)) >= limit:
            return Refusal.KEY_CONCURRENCY
        limit = admission.limits.concurrency
        if limit and self._under_way((env_id, ENVIRONMENT)) >= limit:
            return Refusal.CONCURRENCY
        return None

    def enter_minute(self, admission: Admission, tokens: int) -> Refusal | None:
        """Count the request in the minutes of its key and environment, or in none of them."""
        entered: list[tuple[Counted, Window]] = []
        limited: tuple[tuple[KeyId, Limits, Refusal, Refusal], ...] = (
            (admission.key_id, admission.key_limits, Refusal.KEY_REQUESTS, Refusal.KEY_TOKENS),
            (ENVIRONMENT, admission.limits, Refusal.REQUESTS, Refusal.TOKENS),
        )
        for key_id, limits, requests, too_many_tokens in limited:
            if not is_rated(limits):
                continue
            key = (admission.env_id, key_id)
            window = enter(self._window(key), limits, tokens, admission.now)
            if isinstance(window, Full):
                return requests if window is Full.REQUESTS else too_many_tokens
            entered.append((key, window))
        for key, window in entered:
            self._windows[key] = self._changed_windows[key] = window
        return None

    def correct_minute(
        self, env_id: EnvId, key_id: KeyId, started_at: Millis, expected: int, used: int
    ) -> None:
        """Count the tokens that were used instead of those that were expected."""
        for key in ((env_id, key_id), (env_id, ENVIRONMENT)):
            window = self._window(key)
            if window is not None:
                corrected = correct(window, minute_of(started_at), expected, used)
                if corrected is not window:
                    self._windows[key] = self._changed_windows[key] = corrected

    def budget(self, env_id: EnvId, key_id: KeyId) -> Budget | None:
        """None: the key has none."""
        key = (env_id, key_id)
        if key not in self._budgets:
            found = self._session.row("budget", *key)
            self._budgets[key] = None if found is None else Budget(*found)
        return self._budgets[key]

    def move_budget(self, env_id: EnvId, key_id: KeyId, charged: int, held: int) -> None:
        """Change what a key was charged and what it holds; nothing if it has no budget."""
        budget = self.budget(env_id, key_id)
        if budget is not None:
            key = (env_id, key_id)
            self._budgets[key] = self._changed_budgets[key] = Budget(
                budget.budget,
                MicroCredits(budget.charged + charged),
                MicroCredits(budget.held + held),
            )

    def count(self, env_id: EnvId, key_id: KeyId, change: int) -> None:
        """An exchange begins (1) or ends (-1); its row is written at the end of the batch."""
        self._moves.append((env_id, key_id, change))
        if self._open:
            for key in ((env_id, key_id), (env_id, ENVIRONMENT)):
                if key in self._open:
                    self._open[key] += change

    def rows(self) -> tuple[tuple[str, list[Row]], ...]:
        """What has to be written, by statement."""
        return (
            (
                "write_window",
                [
                    (*key, window.minute, window.requests, window.tokens)
                    for key, window in self._changed_windows.items()
                ],
            ),
            (
                "update_budget",
                [
                    (budget.charged, budget.held, *key)
                    for key, budget in self._changed_budgets.items()
                ],
            ),
        )

    def _under_way(self, key: Counted) -> int:
        under_way = self._open.get(key)
        if under_way is None:
            ((before,),) = self._session.rows("open_exchanges", *key)
            env_id, key_id = key
            under_way = self._open[key] = before + sum(
                change
                for of_env, of_key, change in self._moves
                if of_env == env_id and key_id in (of_key, ENVIRONMENT)
            )
        return under_way

    def _window(self, key: Counted) -> Window | None:
        if key not in self._windows:
            found = self._session.row("window", *key)
            self._windows[key] = None if found is None else Window(*found)
        return self._windows[key]
