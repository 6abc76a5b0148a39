"""The tables of chat. What is done with them stands in `store.py`."""

from ironclaw.database import Migration

MIGRATIONS = (
    Migration(
        30,
        "chat",
        """
        CREATE TABLE threads (
            id TEXT PRIMARY KEY,
            title TEXT NOT NULL,
            pinned INTEGER NOT NULL DEFAULT 0,
            user_id TEXT NOT NULL,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL,
            rank INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX threads_by_rank ON threads (rank);
        CREATE INDEX threads_in_order ON threads (pinned * 1099511627776 + rank);
        CREATE TABLE turns (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            message_id TEXT NOT NULL UNIQUE,
            thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
            state TEXT NOT NULL,
            command INTEGER NOT NULL DEFAULT 0,
            undone INTEGER NOT NULL DEFAULT 0,
            user_message TEXT NOT NULL,
            response TEXT,
            error_code TEXT,
            error_message TEXT,
            created_at TEXT NOT NULL,
            started_at TEXT,
            ended_at TEXT,
            input_tokens INTEGER NOT NULL DEFAULT 0,
            output_tokens INTEGER NOT NULL DEFAULT 0,
            cost_usd REAL,
            duration_ms INTEGER
        ) STRICT;
        CREATE INDEX turns_by_thread ON turns (thread_id, seq);
        CREATE INDEX turns_unfinished ON turns (seq) WHERE state IN ('queued', 'running');
        CREATE TABLE tool_calls (
            turn_seq INTEGER NOT NULL REFERENCES turns (seq) ON DELETE CASCADE,
            call_id TEXT NOT NULL,
            name TEXT NOT NULL,
            parameters TEXT NOT NULL,
            success INTEGER,
            preview TEXT NOT NULL DEFAULT '',
            duration_ms INTEGER,
            PRIMARY KEY (turn_seq, call_id)
        ) STRICT;
        CREATE TABLE idempotency (
            key TEXT PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            message_id TEXT NOT NULL,
            thread_id TEXT NOT NULL,
            created_at TEXT NOT NULL
        ) STRICT
        """,
    ),
    Migration(
        32,
        "approvals, summaries, a model for a thread",
        """
        CREATE TABLE approvals (
            request_id TEXT PRIMARY KEY,
            turn_seq INTEGER NOT NULL REFERENCES turns (seq) ON DELETE CASCADE,
            call_id TEXT NOT NULL,
            name TEXT NOT NULL,
            subject TEXT NOT NULL,
            parameters TEXT NOT NULL,
            always INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            action TEXT
        ) STRICT;
        CREATE INDEX approvals_of_turn ON approvals (turn_seq);
        CREATE INDEX approvals_waiting ON approvals (created_at) WHERE action IS NULL;
        CREATE TABLE paused_turns (
            turn_seq INTEGER PRIMARY KEY REFERENCES turns (seq) ON DELETE CASCADE,
            state TEXT NOT NULL
        ) STRICT;
        CREATE TABLE remembered_approvals (
            name TEXT NOT NULL,
            subject TEXT NOT NULL,
            created_at TEXT NOT NULL,
            PRIMARY KEY (name, subject)
        ) STRICT;
        CREATE TABLE summaries (
            thread_id TEXT PRIMARY KEY REFERENCES threads (id) ON DELETE CASCADE,
            upto INTEGER NOT NULL,
            summary TEXT NOT NULL
        ) STRICT;
        ALTER TABLE threads ADD COLUMN model TEXT;
        ALTER TABLE turns ADD COLUMN can_ask INTEGER NOT NULL DEFAULT 1;
        DROP INDEX turns_unfinished;
        CREATE INDEX turns_unfinished ON turns (seq) WHERE state IN ('queued', 'running', 'waiting')
        """,
    ),
    Migration(
        33,
        "files that come with messages",
        """
        CREATE TABLE attachments (
            turn_seq INTEGER NOT NULL REFERENCES turns (seq) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            name TEXT NOT NULL,
            media_type TEXT NOT NULL,
            size INTEGER NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (turn_seq, number)
        ) STRICT
        """,
    ),
    Migration(
        81,
        "skills of turns",
        """
        CREATE TABLE turn_skills (
            turn_seq INTEGER NOT NULL REFERENCES turns (seq) ON DELETE CASCADE,
            name TEXT NOT NULL,
            version TEXT NOT NULL,
            source TEXT NOT NULL,
            trust TEXT NOT NULL,
            PRIMARY KEY (turn_seq, name)
        ) STRICT
        """,
    ),
)
