//! Query parameters as Binance checks them, and the errors it answers.

use std::collections::HashMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api::call::Call;
use crate::coin::Coin;

/// A request error of Binance, always HTTP 400.
#[derive(Debug)]
pub(super) struct Refusal {
    code: i32,
    message: String,
}

impl Refusal {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn bad_interval() -> Self {
        Self::new(-1120, "Unknown interval.")
    }

    pub(super) fn bad_value(name: &str) -> Self {
        Self::new(
            -1130,
            format!("The value of parameter '{name}' is out of range."),
        )
    }

    pub(super) fn bad_status() -> Self {
        Self::new(-1122, "Unknown symbol status.")
    }

    pub(super) fn other_status() -> Self {
        Self::new(-1220, "The symbol is not in that status.")
    }

    fn malformed(name: &str) -> Self {
        Self::new(
            -1100,
            format!("Parameter '{name}' holds characters it may not hold."),
        )
    }

    fn missing(name: &str) -> Self {
        Self::new(
            -1102,
            format!("Parameter '{name}' is mandatory and was not sent or was empty."),
        )
    }

    fn bad_symbol() -> Self {
        Self::new(-1121, "Unknown symbol.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"code": self.code, "msg": self.message});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Params<'a>(&'a HashMap<String, String>);

/// Which coins a request is about, and in which form the answer is wanted.
#[derive(Debug)]
pub(super) enum Selection {
    /// `symbol`: one object.
    One(Coin),
    /// `symbols`: an array.
    List(Vec<Coin>),
    /// Neither: an array of all.
    All,
}

impl Selection {
    /// Each coin that it stands for, in the form that it wants.
    pub(super) fn each(self, one: impl Fn(Coin) -> Value) -> Value {
        match self {
            Self::One(coin) => one(coin),
            Self::List(coins) => coins.into_iter().map(one).collect(),
            Self::All => Coin::ALL.into_iter().map(one).collect(),
        }
    }
}

impl<'a> Params<'a> {
    /// The parameters of a request that understands `known`.
    pub(super) fn of(call: &'a Call, known: &[&str]) -> Result<Self, Refusal> {
        let Some(params) = call.params() else {
            return Err(Refusal::new(-1101, "The query cannot be read."));
        };
        if params.keys().any(|name| !known.contains(&name.as_str())) {
            return Err(Refusal::new(-1104, "Not all sent parameters were read."));
        }
        Ok(Self(params))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number of at least zero; one too large to hold counts as the largest.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || text.len() > 20 {
            return Err(Refusal::malformed(name));
        }
        Ok(Some(text.parse().unwrap_or(i64::MAX)))
    }

    /// The coin in the mandatory parameter `symbol`.
    pub(super) fn coin(&self) -> Result<Coin, Refusal> {
        coin(self.needed("symbol")?, "symbol")
    }

    pub(super) fn selection(&self) -> Result<Selection, Refusal> {
        match (self.text("symbol"), self.text("symbols")) {
            (Some(_), Some(_)) => Err(Refusal::new(
                -1128,
                "Parameters 'symbol' and 'symbols' exclude each other.",
            )),
            (Some(_), None) => self.coin().map(Selection::One),
            (None, Some(list)) => coins(list).map(Selection::List),
            (None, None) => Ok(Selection::All),
        }
    }
}

fn coins(list: &str) -> Result<Vec<Coin>, Refusal> {
    let symbols: Vec<String> =
        serde_json::from_str(list).map_err(|_| Refusal::malformed("symbols"))?;
    if symbols.is_empty() {
        return Err(Refusal::missing("symbols"));
    }
    symbols
        .iter()
        .map(|symbol| coin(symbol, "symbols"))
        .collect()
}

fn coin(symbol: &str, name: &str) -> Result<Coin, Refusal> {
    let is_allowed = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    if symbol.len() > 20 || !symbol.bytes().all(is_allowed) {
        return Err(Refusal::malformed(name));
    }
    Coin::from_symbol(symbol).ok_or_else(Refusal::bad_symbol)
}
