//! What reports are made of: parsed where it comes in, refused where it does not fit.

use dashboard::report::{
    address::DatabaseUrl,
    content::{Language, PerLanguage},
    error::Error,
    page::{Cursor, PageNumber, PageSize},
    record::{LegacyReport, ReportId, Status, Symbol, Timeframe},
    text::{LegacyHtml, Markdown, Summary, Title},
};
use proptest::prelude::*;

use super::field::{at, content, id};

/// That it is refused, and that the refusal says which field it was and nothing of what came in.
fn refused<T: std::fmt::Debug>(parsed: Result<T, Error>, text: &str) {
    let error = parsed.expect_err("it is refused");
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.contains(" takes "), "{told}");
    assert!(text.len() < 10 || !told.contains(text), "{told}");
}

#[test]
fn an_id_is_a_plain_positive_number_of_64_bits() {
    for (text, number) in [
        ("1", 1),
        ("2147483647", i64::from(i32::MAX)),
        ("2147483648", 1 << 31),
        ("9223372036854775807", i64::MAX),
    ] {
        assert_eq!(ReportId::parse(text).expect("an id").get(), number);
    }
    let too_long = "9".repeat(10_000);
    for text in [
        "0",
        "-1",
        "+1",
        "01",
        "",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x1",
        "one",
        "١",
        "%31",
        "1;",
        "-9223372036854775808",
        "9223372036854775808",
        "18446744073709551617",
        &too_long,
    ] {
        refused(ReportId::parse(text), text);
    }
    for number in [0, -1, i64::MIN] {
        refused(ReportId::new(number), "");
    }
}

#[test]
fn texts_are_taken_up_to_their_length_and_without_control_characters() {
    assert_eq!(
        Title::parse("  Giá Bitcoin  ").expect("a title").as_str(),
        "Giá Bitcoin"
    );
    assert!(Title::parse(&"ế".repeat(200)).is_ok());
    for text in [
        "",
        "   ",
        "two\nlines",
        "nul\0",
        "tab\there",
        "rtl \u{202e}gpj.exe",
        "x\u{2028}y",
    ] {
        refused(Title::parse(text), text);
    }
    refused(Title::parse(&"x".repeat(201)), "xxxxxxxxxxxx");
    assert!(Summary::parse("").is_ok());
    refused(Summary::parse(&"x".repeat(1_001)), "xxxxxxxxxxxx");
    let body = Markdown::parse("# A\r\n\r\n\ttext\r\n").expect("a body");
    assert_eq!(body.as_str(), "# A\n\n\ttext\n");
    for text in ["", " \n ", "a\0b", "a\u{1b}[31m", "lone \r return"] {
        refused(Markdown::parse(text), text);
    }
    refused(Markdown::parse(&"x".repeat(256 * 1024 + 1)), "xxxxxxxxxxxx");
    assert!(LegacyHtml::parse("<p>\u{1b}</p>\r").is_ok());
    refused(LegacyHtml::parse("<p>\0</p>"), "<p>\0</p>");
    refused(
        LegacyHtml::parse(&"x".repeat(1024 * 1024 + 1)),
        "xxxxxxxxxxxx",
    );
}

#[test]
fn legacy_markup_is_not_shown_by_accident() {
    let html = LegacyHtml::parse("<script>hunter2()</script>").expect("markup");
    assert_eq!(format!("{html:?}"), "LegacyHtml(26 bytes)");
}

#[test]
fn words_come_from_closed_lists_or_small_alphabets() {
    for language in Language::ALL {
        assert_eq!(
            Language::parse(language.code()).expect("its own code"),
            language
        );
    }
    for text in ["", "VI", "fr", "vi-VN"] {
        refused(Language::parse(text), text);
        refused(Status::parse(text), text);
    }
    assert_eq!(Symbol::parse("BTC").expect("a symbol").as_str(), "btc");
    assert_eq!(Timeframe::parse("1mo").expect("a span").as_str(), "1mo");
    for text in [
        "",
        "a b",
        "a/b",
        "a:b",
        "bitcoin-is-a-long-name",
        "đ",
        "*",
        "1M\n",
    ] {
        refused(Symbol::parse(text), text);
        refused(Timeframe::parse(text), text);
    }
    refused(Timeframe::parse("1M"), "1M");
}

#[test]
fn a_report_has_at_least_one_language_and_a_legacy_row_an_id_of_its_time() {
    refused(PerLanguage::<()>::of(None, None), "");
    let contents = PerLanguage::of(Some(content("x")), None).expect("one");
    let beyond = id(i64::from(i32::MAX) + 1);
    refused(LegacyReport::new(beyond, at(0), contents), "");
}

#[test]
fn pages_have_bounds() {
    for number in [0, 101, u32::MAX] {
        refused(PageSize::new(number), "");
    }
    for number in [0, 100_001, u32::MAX] {
        refused(PageNumber::new(number), "");
    }
    let last = PageNumber::new(100_000).expect("the last one");
    assert_eq!(
        last.offset(PageSize::new(100).expect("the most")),
        9_999_900
    );
}

#[test]
fn a_cursor_that_is_not_ours_is_refused() {
    for text in [
        "",
        "-",
        "1",
        "1-",
        "-1",
        "1-0",
        "1--1",
        "01-1",
        "1-01",
        "A-1",
        "a-A",
        "+1-1",
        "1-+1",
        "1-1-1",
        "1-8000000000000000",
        "7fffffffffffffff-1",
        "1 -1",
        "đ-1",
        "1-1\n",
    ] {
        refused(Cursor::parse(text), text);
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>()) {
        let _ = (ReportId::parse(&text), Cursor::parse(&text), Title::parse(&text));
        let _ = (Summary::parse(&text), Markdown::parse(&text), LegacyHtml::parse(&text));
        let _ = (Symbol::parse(&text), Timeframe::parse(&text), DatabaseUrl::parse(&text));
    }

    #[test]
    fn a_cursor_that_is_taken_is_written_as_it_was(time in "-?[0-9a-f]{1,12}", id in "[0-9a-f]{1,16}") {
        let text = format!("{time}-{id}");
        if let Ok(cursor) = Cursor::parse(&text) {
            prop_assert_eq!(cursor.to_string(), text);
        }
    }
}

#[test]
fn an_address_is_of_a_file_or_of_a_server() {
    for text in [
        "sqlite:///var/lib/dashboard/reports.db",
        "sqlite://data/reports.db",
        "postgres://user:secret@host:5432/reports",
        "postgresql://user@host/reports?sslmode=verify-full&sslrootcert=ca.pem",
        "postgres://user@%2Frun%2Fpostgresql/reports",
        "postgres:///reports?host=/run/postgresql&user=dashboard",
    ] {
        DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    for text in [
        "",
        "reports.db",
        "sqlite:",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite::memory:",
        "sqlite://file:reports.db",
        "sqlite://folder/",
        "sqlite://a.db?mode=memory",
        "file:///a.db",
        "mysql://user@host/db",
        "postgres:",
        "postgres://hunter22@host",
        "postgres://user:hunter22@/x y",
        "postgres://user@host:port/db",
        "postgres://user@host/db?sslmode=hunter22",
        "postgres://user@host/db?hunter22=1",
        "postgres://user@host/db#hunter22",
    ] {
        refused(DatabaseUrl::parse(text), text);
    }
}

#[test]
fn an_address_with_a_password_is_not_shown() {
    let url = "postgres://user:hunter22@host/reports";
    let url = DatabaseUrl::parse(url).expect("a sound address");
    for shown in [format!("{url:?}"), url.shown()] {
        assert!(
            !shown.contains("hunter22") && !shown.contains("host"),
            "{shown}"
        );
    }
}
