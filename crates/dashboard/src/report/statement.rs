//! Every statement, in the SQL that both databases understand; `$1` is a placeholder in both.

/// A report, whole.
macro_rules! report {
    () => {
        "SELECT r.id, r.status, r.revision, r.symbol, r.timeframe, \
         r.created_at, r.updated_at, r.published_at, \
         vi.title AS vi_title, vi.summary AS vi_summary, \
         vi.markdown AS vi_markdown, vi.legacy_html AS vi_legacy_html, \
         en.title AS en_title, en.summary AS en_summary, \
         en.markdown AS en_markdown, en.legacy_html AS en_legacy_html \
         FROM crypto_report r \
         LEFT JOIN report_content vi ON vi.report_id = r.id AND vi.lang = 'vi' \
         LEFT JOIN report_content en ON en.report_id = r.id AND en.lang = 'en' "
    };
}

/// A report without its bodies, which a list would read in vain.
macro_rules! listed {
    () => {
        "SELECT r.id, r.status, r.revision, r.symbol, r.timeframe, \
         r.created_at, r.updated_at, r.published_at, \
         vi.title AS vi_title, vi.summary AS vi_summary, \
         CAST(NULL AS TEXT) AS vi_markdown, CAST(NULL AS TEXT) AS vi_legacy_html, \
         en.title AS en_title, en.summary AS en_summary, \
         CAST(NULL AS TEXT) AS en_markdown, CAST(NULL AS TEXT) AS en_legacy_html \
         FROM crypto_report r \
         LEFT JOIN report_content vi ON vi.report_id = r.id AND vi.lang = 'vi' \
         LEFT JOIN report_content en ON en.report_id = r.id AND en.lang = 'en' \
         WHERE r.status = 'published' "
    };
}

macro_rules! newest_first {
    () => {
        "ORDER BY r.published_at DESC, r.id DESC "
    };
}

/// $1 id, $2 whether its status is of no account.
pub(super) const BY_ID: &str = concat!(
    report!(),
    "WHERE r.id = $1 AND (r.status = 'published' OR $2)"
);

pub(super) const LATEST: &str = concat!(
    report!(),
    "WHERE r.status = 'published' ",
    newest_first!(),
    "LIMIT 1"
);

pub(super) const LATEST_ID: &str = concat!(
    "SELECT r.id FROM crypto_report r WHERE r.status = 'published' ",
    newest_first!(),
    "LIMIT 1"
);

/// $1 published_at, $2 id, $3 limit.
pub(super) const PAGE_BEHIND: &str = concat!(
    listed!(),
    "AND (r.published_at, r.id) < ($1, $2) ",
    newest_first!(),
    "LIMIT $3"
);

/// $1 limit, $2 offset.
pub(super) const PAGE_AT: &str = concat!(listed!(), newest_first!(), "LIMIT $1 OFFSET $2");

pub(super) const COUNT: &str = "SELECT count(*) FROM crypto_report WHERE status = 'published'";

/// $1 status, $2 symbol, $3 timeframe, $4 now, $5 published_at.
pub(super) const CREATE: &str = "INSERT INTO crypto_report \
     (status, revision, symbol, timeframe, created_at, updated_at, published_at) \
     VALUES ($1, 1, $2, $3, $4, $4, $5) RETURNING id";

/// $1 id, $2 expected revision, $3 status, $4 symbol, $5 timeframe, $6 now, $7 published_at.
pub(super) const REVISE: &str = "UPDATE crypto_report SET revision = revision + 1, \
     status = CASE WHEN status = 'published' THEN status ELSE $3 END, \
     symbol = $4, timeframe = $5, updated_at = $6, published_at = COALESCE(published_at, $7) \
     WHERE id = $1 AND revision = $2 AND status <> 'withdrawn'";

/// $1 id, $2 now.
pub(super) const WITHDRAW: &str = "UPDATE crypto_report SET revision = revision + 1, \
     status = 'withdrawn', updated_at = $2 WHERE id = $1 AND status <> 'withdrawn'";

/// $1 id, $2 created_at. What is made of it later is told by its revision.
pub(super) const IMPORT: &str = "INSERT INTO crypto_report \
     (id, status, revision, created_at, updated_at, published_at) \
     VALUES ($1, 'published', 1, $2, $2, $2) ON CONFLICT (id) DO NOTHING";

/// $1 report, $2 language, $3 title, $4 summary, $5 Markdown, $6 legacy HTML.
pub(super) const ADD_CONTENT: &str = "INSERT INTO report_content \
     (report_id, lang, title, summary, markdown, legacy_html) VALUES ($1, $2, $3, $4, $5, $6)";

/// $1 report.
pub(super) const REMOVE_CONTENTS: &str = "DELETE FROM report_content WHERE report_id = $1";
