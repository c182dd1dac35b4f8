"""Tables of the deployer's database. Sealed columns hold values of `encryption`; hashes of secrets are
SHA-256 in hex.

The partial unique indexes are the locks: one running and one queued deployment per app and environment,
whichever process writes.
"""

from __future__ import annotations

VERSION = 3

SCHEMA = """
CREATE TABLE deployment (
    seq INTEGER PRIMARY KEY,  -- order of acceptance; ids sort by the clock, which may step
    id TEXT NOT NULL UNIQUE,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    trigger TEXT NOT NULL,
    actor TEXT NOT NULL,
    revision TEXT NOT NULL,
    workflow TEXT NOT NULL,
    run_number INTEGER,
    run_attempt INTEGER,
    images_sha256 TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    attempts INTEGER NOT NULL,
    release TEXT NOT NULL,
    previous TEXT NOT NULL,  -- revision that served when the deployment was first claimed
    measured TEXT,  -- JSON
    mark TEXT,  -- of a success: keyed, so that only who has the key can write one that pruning believes
    sealed_wish BLOB,
    sealed_credentials BLOB
) STRICT;
CREATE UNIQUE INDEX one_running ON deployment (app, environment) WHERE status = 'in_progress';
CREATE UNIQUE INDEX one_queued ON deployment (app, environment) WHERE status = 'queued';
CREATE INDEX history ON deployment (app, environment);
CREATE INDEX newest_run ON deployment (app, environment, workflow, run_number, run_attempt);
CREATE TABLE confirmation (  -- a row: the deployment has waited for a word, once it served
    deployment_id TEXT PRIMARY KEY REFERENCES deployment (id),
    until REAL NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE event (
    deployment_id TEXT NOT NULL REFERENCES deployment (id),
    n INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (deployment_id, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE release (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    revision TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE startup (  -- until a service was ready, the last time
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    service TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (app, environment, service)
) STRICT, WITHOUT ROWID;
CREATE TABLE pulled (  -- images that are on the engine for releases
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    mark TEXT NOT NULL,  -- keyed as well: whoever else writes here gets no image removed
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE proven (  -- images that a run built and tested whose token's claims fitted the environment
    seq INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    revision TEXT NOT NULL,
    combination TEXT NOT NULL,
    images TEXT NOT NULL,  -- JSON: service to repository, digest, tree
    mark TEXT NOT NULL  -- keyed as well: the worker believes no row that another process wrote
) STRICT;
CREATE INDEX proven_in ON proven (app, environment);
CREATE TABLE delivery (
    seq INTEGER PRIMARY KEY,
    guid TEXT NOT NULL,  -- not unique: a redelivery carries the same one
    event TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    received_at REAL NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    deployment_id TEXT  -- no reference: the note of what arrived outlives the deployment
) STRICT;
CREATE INDEX delivery_guid ON delivery (guid);
CREATE TABLE looked (  -- until when GitHub's own record of a hook was searched for what was missed
    hook TEXT PRIMARY KEY,
    at REAL NOT NULL
) STRICT;
CREATE TABLE errand (  -- what a process without an engine hands to the one that has it
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    at REAL NOT NULL,
    due REAL NOT NULL,
    tries INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    answer TEXT  -- JSON of a plan or an error, neither of them secret
) STRICT;
CREATE TABLE proof (
    jti TEXT PRIMARY KEY,
    expires_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (  -- `core/audit.py` says what a row's text and hash are
    n INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TABLE audit_head (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    n INTEGER NOT NULL
) STRICT;
INSERT INTO audit_head VALUES (1, 0);
CREATE TABLE audit_pending (  -- of a process without the key, until one that has it links them
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    act TEXT NOT NULL
) STRICT;
CREATE TABLE forge (
    deployment_id TEXT PRIMARY KEY REFERENCES deployment (id),
    number INTEGER NOT NULL
) STRICT;
CREATE TABLE token (
    name TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    can TEXT NOT NULL,
    sha256 TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    expires_at REAL
) STRICT;
CREATE TABLE read_token (
    sha256 TEXT PRIMARY KEY,
    deployment_id TEXT NOT NULL REFERENCES deployment (id),
    created_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX read_token_of ON read_token (deployment_id);
CREATE TABLE seal (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    salt BLOB NOT NULL  -- sealed; shows that the key fits, and keys the release ids
) STRICT;
"""

# Statements that lead a file of an older version to the next one, by version.
UPGRADES = {
    1: SCHEMA[SCHEMA.index("CREATE TABLE startup") : SCHEMA.index("CREATE TABLE pulled")],
    2: SCHEMA[SCHEMA.index("CREATE TABLE proven") : SCHEMA.index("CREATE TABLE delivery")],
}
