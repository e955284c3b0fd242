//! What a client of the streams may ask for, and the answers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::MAX_STREAMS;
use super::channel::Channel;

/// The streams of a connection, and how their events are written.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// By name. A name that no stream has may be subscribed to; nothing ever comes of it.
    channels: BTreeMap<String, Option<Channel>>,
    is_combined: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    id: Value,
}

/// The documented codes of what is wrong with a request.
const UNKNOWN_PROPERTY: u8 = 0;
const BAD_VALUE: u8 = 1;
const BAD_REQUEST: u8 = 2;
const BAD_JSON: u8 = 3;

/// What is wrong with a request: a code and a sentence.
type Complaint = (u8, &'static str);

impl Subscriptions {
    pub(super) fn new(is_combined: bool) -> Self {
        Self {
            channels: BTreeMap::new(),
            is_combined,
        }
    }

    pub(super) fn add(&mut self, name: &str) {
        self.channels.insert(name.to_owned(), Channel::parse(name));
    }

    /// The streams that something comes of.
    pub(super) fn channels(&self) -> impl Iterator<Item = (&String, &Channel)> {
        self.channels
            .iter()
            .filter_map(|(name, channel)| Some((name, channel.as_ref()?)))
    }

    /// The event of a stream as it is sent.
    pub(super) fn written(&self, stream: &str, event: Value) -> Value {
        if self.is_combined {
            json!({"stream": stream, "data": event})
        } else {
            event
        }
    }

    /// The answer to a message of the client's.
    pub(super) fn answer(&mut self, message: &[u8]) -> Value {
        let Ok(body) = serde_json::from_slice::<Value>(message) else {
            return json!({"code": BAD_JSON, "msg": "Invalid JSON."});
        };
        let id = body.get("id").cloned().unwrap_or(Value::Null);
        let answered = Request::deserialize(body)
            .map_err(|_| (BAD_REQUEST, "Invalid request: not the fields of one."))
            .and_then(|request| self.carried_out(&request));
        match answered {
            Ok(result) => json!({"result": result, "id": id}),
            Err((code, sentence)) => json!({"code": code, "msg": sentence, "id": id}),
        }
    }

    fn carried_out(&mut self, request: &Request) -> Result<Value, Complaint> {
        if !(request.id.is_null() || request.id.is_u64() || request.id.is_string()) {
            return Err((BAD_REQUEST, "Invalid request: an id of another type."));
        }
        match request.method.as_str() {
            "SUBSCRIBE" => {
                let names = names(&request.params)?;
                if self.channels.len() + names.len() > MAX_STREAMS {
                    return Err((BAD_REQUEST, "Invalid request: too many streams."));
                }
                names.into_iter().for_each(|name| self.add(name));
                Ok(Value::Null)
            }
            "UNSUBSCRIBE" => {
                for name in names(&request.params)? {
                    self.channels.remove(name);
                }
                Ok(Value::Null)
            }
            "LIST_SUBSCRIPTIONS" => Ok(self.channels.keys().cloned().collect()),
            "SET_PROPERTY" => {
                let value = property(&request.params)?.ok_or((BAD_VALUE, "No value."))?;
                self.is_combined = value
                    .as_bool()
                    .ok_or((BAD_VALUE, "Invalid value type: expected a boolean."))?;
                Ok(Value::Null)
            }
            "GET_PROPERTY" => property(&request.params).map(|_| json!(self.is_combined)),
            _ => Err((BAD_REQUEST, "Invalid request: no such method.")),
        }
    }
}

fn names(params: &Value) -> Result<Vec<&str>, Complaint> {
    params
        .as_array()
        .and_then(|names| names.iter().map(Value::as_str).collect())
        .ok_or((BAD_REQUEST, "Invalid request: params is no list of names."))
}

/// The value that is to be given to the one property there is.
fn property(params: &Value) -> Result<Option<&Value>, Complaint> {
    let params = params
        .as_array()
        .ok_or((BAD_REQUEST, "Invalid request: params is no list."))?;
    match params.first().and_then(Value::as_str) {
        Some("combined") => Ok(params.get(1)),
        _ => Err((UNKNOWN_PROPERTY, "Unknown property.")),
    }
}
