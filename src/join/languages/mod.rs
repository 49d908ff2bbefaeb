//! The languages, a table each.

use super::settings::Language;
use super::table::Table;

mod cpp;
mod dart;
mod dotnet;
mod elixir;
mod go;
mod java;
mod javascript;
mod perl;
mod php;
mod python;
mod ruby;
mod rust;

/// The table of a language.
pub(super) fn table(language: Language) -> &'static Table {
    match language {
        Language::Java => &java::TABLE,
        Language::Python => &python::TABLE,
        Language::Go => &go::TABLE,
        Language::Javascript => &javascript::TABLE,
        Language::Ruby => &ruby::TABLE,
        Language::Php => &php::TABLE,
        Language::Dotnet => &dotnet::TABLE,
        Language::Rust => &rust::TABLE,
        Language::Dart => &dart::TABLE,
        Language::Elixir => &elixir::TABLE,
        Language::Cpp => &cpp::TABLE,
        Language::Perl => &perl::TABLE,
    }
}
