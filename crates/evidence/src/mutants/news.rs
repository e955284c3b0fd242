//! What the store tells, how it is proven to have told everything, and what if not.

use super::code::CodeMutant;

pub(super) const MUTANTS: &[CodeMutant] = &[];
