//! Documented shapes, and whether an answer has them.

use serde_json::Value;

/// A documented type: S, SD, N, I, B, object and array of the market API notes; with "?", nullable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Decimal,
    Number,
    Integer,
    Flag,
    List,
    Map,
    NumberOrNull,
    TextOrNull,
    MapOrNull,
}

pub(crate) fn check_kind(value: &Value, kind: Kind, place: &str) {
    let fits = match kind {
        Kind::Text => value.is_string(),
        Kind::Decimal => value
            .as_str()
            .is_some_and(|text| text.parse::<f64>().is_ok()),
        Kind::Number => value.is_number(),
        Kind::Integer => value.is_i64(),
        Kind::Flag => value.is_boolean(),
        Kind::List => value.is_array(),
        Kind::Map => value.is_object(),
        Kind::NumberOrNull => value.is_number() || value.is_null(),
        Kind::TextOrNull => value.is_string() || value.is_null(),
        Kind::MapOrNull => value.is_object() || value.is_null(),
    };
    assert!(fits, "{place}: {value} is not {kind:?}");
}

/// Exactly these fields, each of its type.
pub(crate) fn check_fields(object: &Value, fields: &[(&str, Kind)], place: &str) {
    let present = object
        .as_object()
        .unwrap_or_else(|| panic!("{place}: {object} is no object"));
    for (name, kind) in fields {
        let value = present
            .get(*name)
            .unwrap_or_else(|| panic!("{place}.{name} is absent: {object}"));
        check_kind(value, *kind, &format!("{place}.{name}"));
    }
    assert_eq!(
        present.len(),
        fields.len(),
        "{place} has other fields too: {object}"
    );
}

/// Rows of a table, each with one value of each of these types.
pub(crate) fn check_rows(rows: &Value, kinds: &[Kind], place: &str) {
    let rows = rows
        .as_array()
        .unwrap_or_else(|| panic!("{place}: {rows} is no list"));
    assert!(!rows.is_empty(), "{place} is empty");
    for row in rows {
        let row = row.as_array().unwrap_or_else(|| panic!("{place}: {row}"));
        assert_eq!(row.len(), kinds.len(), "{place}: {row:?}");
        for (value, kind) in row.iter().zip(kinds) {
            check_kind(value, *kind, place);
        }
    }
}
