//! The page's own files, embedded in the program.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::problem::Problem;

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml; charset=utf-8";

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("../../static/", $name)),
        }
    };
}

/// Every file under `/assets`. A name that is not in this list does not exist:
/// no path of a request ever reaches a file system.
static ASSETS: &[Asset] = &[
    asset!("app.js", JS),
    asset!("cards.js", JS),
    asset!("format.js", JS),
    asset!("freshness.js", JS),
    asset!("gauge.js", JS),
    asset!("link.js", JS),
    asset!("sources.js", JS),
    asset!("trail.js", JS),
    asset!("style.css", CSS),
    asset!("icon.svg", SVG),
];

/// One digest over all files names their folder, so that relative imports between
/// modules stay as they are written and a changed file still changes every address.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for asset in ASSETS {
        digest.update(asset.name.as_bytes());
        digest.update(asset.bytes);
    }
    digest
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
});

#[derive(Debug)]
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// The folder below `/assets` that holds this build's files.
pub(crate) fn edition() -> &'static str {
    &EDITION
}

/// `GET /assets/{edition}/{name}`.
pub(crate) async fn file(
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // What is not UTF-8 is no name of a file here.
    let Path((edition, name)) = path.map_err(|_| Problem::not_found())?;
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .ok_or_else(Problem::not_found)?;
    // A page of an older build still gets a file that works, but may not keep it
    // under the older name.
    let keep = if edition == *EDITION {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let tag = format!("\"{}\"", *EDITION);
    let is_known = super::etag::is_known(&headers, &tag);
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes");
    let kept = [(CACHE_CONTROL, HeaderValue::from_static(keep)), (ETAG, tag)];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let kind = [(CONTENT_TYPE, HeaderValue::from_static(asset.kind))];
    Ok((kept, kind, asset.bytes).into_response())
}
