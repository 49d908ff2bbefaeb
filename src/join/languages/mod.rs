//! The languages, a table each.

use super::settings::Language;
use super::table::Table;

mod go;
mod java;
mod python;

/// The table of a language.
pub(super) fn table(language: Language) -> &'static Table {
    match language {
        Language::Java => &java::TABLE,
        Language::Python => &python::TABLE,
        Language::Go => &go::TABLE,
        _ => &Table { rules: &[], mentions: &[] },
    }
}
