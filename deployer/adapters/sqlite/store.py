"""The store: one SQLite file, reached by roles. Implements `ports.receiver_store.ReceiverStore`.

A method's writes are synced to disk when it returns. Each method of a role opens one transaction of the
database; what another role adds to it is a function that takes that transaction's connection.
"""

from __future__ import annotations

from pathlib import Path

from deployer.adapters.sqlite.audit_log import AuditRows, Ledger
from deployer.adapters.sqlite.confirmations import ConfirmationRows
from deployer.adapters.sqlite.database import Database
from deployer.adapters.sqlite.delegated_tasks import TaskRows
from deployer.adapters.sqlite.deliveries import DeliveryRows, ProofRows
from deployer.adapters.sqlite.deployment_events import EventRows
from deployer.adapters.sqlite.deployment_history import DeploymentRows, GitHubIdRows
from deployer.adapters.sqlite.deployment_queue import QueueRows
from deployer.adapters.sqlite.encryption import SealingKey, SecretStore
from deployer.adapters.sqlite.expiry import forget_old
from deployer.adapters.sqlite.image_records import ImageRows
from deployer.adapters.sqlite.keys import StoreKeys
from deployer.adapters.sqlite.releases import ReleaseRows
from deployer.adapters.sqlite.schema import SCHEMA, UPGRADES, VERSION
from deployer.adapters.sqlite.startup_durations import StartupRows
from deployer.adapters.sqlite.tokens import ReadTokenRows, TokenRows
from deployer.core.errors import StoreUnavailable
from deployer.core.ports import arrivals, receiver_store, store


class SqliteStore:
    """The database file at `path`, with secrets sealed by `secret_store`; with a sealing key alone, the store
    accepts deploy jobs and opens nothing. Raises ConfigError when key and file do not belong together.
    """

    def __init__(self, path: Path, secret_store: SecretStore | SealingKey) -> None:
        self._database = database = Database(path, SCHEMA, VERSION, UPGRADES)
        self._keys = keys = StoreKeys(database, secret_store)
        self._ledger = ledger = Ledger(keys.audit_key)
        self.queue: store.DeploymentQueue = QueueRows(database, keys, ledger)
        self.deployments: store.Deployments = DeploymentRows(database)
        self.events: store.DeploymentEvents = EventRows(database)
        self.releases: store.Releases = ReleaseRows(database, keys, ledger)
        self.confirmations: store.Confirmations = ConfirmationRows(database, ledger)
        self.tasks: store.DelegatedTasks = TaskRows(database, keys)
        self.images: store.ImageRecords = ImageRows(database, keys)
        self.startup_durations: store.StartupDurations = StartupRows(database)
        self.deliveries: arrivals.Deliveries = DeliveryRows(database)
        self.proofs: arrivals.Proofs = ProofRows(database)
        self.tokens: receiver_store.Tokens = TokenRows(database, ledger)
        self.read_tokens: receiver_store.ReadTokens = ReadTokenRows(database)
        self.audit: receiver_store.AuditLog = AuditRows(database, ledger)
        self.github_ids = GitHubIdRows(database)

    def close(self) -> None:
        self.audit.end_refusals()
        self._database.close()

    def forget_old(self, now: float) -> int:
        self.audit.end_refusals(now)
        return forget_old(self._database, now)

    def ready(self) -> bool:
        """True if arriving requests can be stored. Writes only if the last write failed."""
        try:
            self._database.read("SELECT 1 FROM seal")
            if self._database.failed:
                self._database.refuse_full()
                with self._database.write() as sql:
                    sql.execute("UPDATE audit_head SET n = n")
        except StoreUnavailable:
            return False
        return True
