-- The journal, version 2: a log of events, and what they fold to.
-- An older journal is brought here by versions.py; a change of this file is a new version there.

CREATE TABLE meta (
  name TEXT PRIMARY KEY CHECK (name <> ''), -- version, app, created, lease
  value TEXT NOT NULL
) WITHOUT ROWID;

-- The projection: each export's record as `states.apply` folds it from the log.
CREATE TABLE exports (
  key TEXT PRIMARY KEY CHECK (key <> ''),
  state TEXT NOT NULL CHECK (
    state IN ('waiting', 'creating', 'generating', 'ready', 'verified', 'stored', 'failed', 'superseded')
  ),
  version INTEGER NOT NULL CHECK (version >= 1), -- grows with each change: nobody overwrites what they have not seen
  record TEXT NOT NULL CHECK (record LIKE '{%}')
);

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  key TEXT NOT NULL REFERENCES exports (key),
  part INTEGER NOT NULL CHECK (part >= 0),
  kind TEXT NOT NULL CHECK (kind <> ''),
  at REAL NOT NULL CHECK (typeof(at) = 'real'), -- seconds since the epoch
  data TEXT NOT NULL CHECK (data LIKE '{%}')
);

CREATE TABLE runs (
  seq INTEGER PRIMARY KEY,
  finished_at REAL NOT NULL CHECK (typeof(finished_at) = 'real'),
  head TEXT NOT NULL CHECK (head LIKE '{%}'), -- the report without its exports
  report BLOB CHECK (typeof(report) IN ('blob', 'null')) -- of one run only, for it lists every export: the last that found something to do; JSON, deflated
);

CREATE TABLE account (
  name TEXT PRIMARY KEY CHECK (name <> ''),
  value TEXT NOT NULL
) WITHOUT ROWID;
