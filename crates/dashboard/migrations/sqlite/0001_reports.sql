CREATE TABLE crypto_report (
    -- AUTOINCREMENT: an id is never given out twice, not even after its row is gone.
    id            INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
    status        TEXT   NOT NULL CHECK (status IN ('draft', 'published', 'withdrawn')),
    revision      BIGINT NOT NULL CHECK (revision > 0),
    symbol        TEXT,
    timeframe     TEXT,
    -- Milliseconds since 1970.
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    published_at  BIGINT,
    CHECK (status <> 'published' OR published_at IS NOT NULL)
);

CREATE TABLE report_content (
    report_id     INTEGER NOT NULL REFERENCES crypto_report (id) ON DELETE CASCADE,
    lang          TEXT    NOT NULL CHECK (lang IN ('vi', 'en')),
    title         TEXT    NOT NULL,
    summary       TEXT    NOT NULL,
    markdown      TEXT,
    legacy_html   TEXT,
    PRIMARY KEY (report_id, lang),
    CHECK ((markdown IS NULL) <> (legacy_html IS NULL))
);

-- The list, newest first; what is not published is not in it.
CREATE INDEX crypto_report_newest ON crypto_report (published_at DESC, id DESC)
    WHERE status = 'published';
