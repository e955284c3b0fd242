//! What can go wrong with reports.

use std::error::Error as StdError;

use super::record::{ReportId, Revision};

/// What a database said. Kept for the log; it never stands in the text of an [`Error`].
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why a report could not be read, written, or made of what came in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What came in is not what the field takes. Nothing was asked of a database.
    #[error("{field} takes {takes}")]
    Invalid {
        /// Which part of a report.
        field: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// There is no such report to write to.
    #[error("there is no report {0}")]
    NotFound(ReportId),
    /// Somebody else wrote meanwhile.
    #[error("report {id} is at revision {current}, not {expected}")]
    Conflict {
        /// Which report.
        id: ReportId,
        /// What the writer had read.
        expected: Revision,
        /// What is stored.
        current: Revision,
    },
    /// A report that was withdrawn takes no revisions.
    #[error("report {0} was withdrawn")]
    Withdrawn(ReportId),
    /// The id of an imported report is in use.
    #[error("report {0} is there already")]
    AlreadyThere(ReportId),
    /// The database does not answer, or not in time. A write may have taken effect all the same.
    #[error("the reports' database is not available")]
    Unavailable(#[source] Cause),
    /// The database has no room for more. Reads go on.
    #[error("the reports' database is full")]
    Full(#[source] Cause),
    /// The database was migrated by a newer program, or by hand.
    #[error("the reports' database has another schema than this program's")]
    Schema(#[source] Cause),
    /// What is stored cannot be a report.
    #[error("what is stored of report {id} is damaged")]
    Damaged {
        /// What its row says it is.
        id: i64,
        /// What is wrong with it.
        source: Cause,
    },
    /// The database said something that is none of the above.
    #[error("the reports' database failed")]
    Database(#[source] Cause),
}

impl Error {
    /// Whether it is worth trying again later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether the writer has to read again first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    pub(super) fn invalid(field: &'static str, takes: &'static str) -> Self {
        Self::Invalid { field, takes }
    }
}
