"""The tables of the history of uploads, and what is asked of them."""

from __future__ import annotations

TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    status TEXT NOT NULL,
    file_type TEXT NOT NULL,
    handle TEXT NOT NULL,
    cluster_id TEXT,
    organization_key TEXT,
    user_key TEXT,
    reason TEXT,
    ready_at INTEGER NOT NULL,
    finished_at INTEGER
);
CREATE INDEX IF NOT EXISTS contents ON uploads (service, content);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    upload_md5 TEXT,
    md5 TEXT,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    sequence_id TEXT,
    status TEXT NOT NULL,
    bytes INTEGER,
    handle TEXT,
    upload INTEGER REFERENCES uploads (id),
    reason TEXT,
    sent_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS sent_files ON files (service, upload_md5) WHERE upload_md5 IS NOT NULL;
CREATE INDEX IF NOT EXISTS original_files ON files (service, md5);
CREATE INDEX IF NOT EXISTS paths ON files (path);
CREATE INDEX IF NOT EXISTS uploaded_files ON files (upload);
"""

COLUMNS = (
    "path", "kind", "sequence_id", "status", "md5", "upload_md5", "bytes", "cluster_id", "organization_key",
    "user_key", "service", "reason", "sent_at", "finished_at",
)  # fmt: skip

SELECT = """
SELECT f.path, f.kind, f.sequence_id,
       CASE WHEN f.status = 'sent' AND u.status = 'ready' THEN 'ready' ELSE f.status END,
       f.md5, f.upload_md5, f.bytes, u.cluster_id, u.organization_key, u.user_key, f.service, f.reason, f.sent_at,
       u.finished_at
FROM files f LEFT JOIN uploads u ON u.id = f.upload
"""

# Two searches and not one with OR, for which SQLite would go through all rows of the service.
FIND = """
SELECT f.status, u.status, f.handle, f.upload, f.sent_at, f.reason
FROM files f LEFT JOIN uploads u ON u.id = f.upload
WHERE f.service = ? AND f.status != 'failed' AND f.md5 = ?
UNION ALL
SELECT f.status, u.status, f.handle, f.upload, f.sent_at, f.reason
FROM files f LEFT JOIN uploads u ON u.id = f.upload
WHERE f.service = ? AND f.status != 'failed' AND f.upload_md5 = ?
"""
