//! Values to bytes and back, for a store.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::BoxError;

/// How values of type `V` become bytes in a store.
///
/// Object-safe, and about one type: a type without serde can have a store
/// through a codec of its own. Ids below 128 are terrace's; an envelope of
/// another codec id is a miss, never a guess.
///
/// ```
/// use terrace::{BoxError, Codec};
///
/// struct Utf8;
/// impl Codec<String> for Utf8 {
///     fn id(&self) -> u8 { 128 }
///     fn encode(&self, value: &String, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
///         bytes.extend_from_slice(value.as_bytes());
///         Ok(())
///     }
///     fn decode(&self, bytes: &[u8]) -> Result<String, BoxError> {
///         Ok(std::str::from_utf8(bytes)?.to_owned())
///     }
/// }
/// let mut bytes = Vec::new();
/// Utf8.encode(&"hot".to_owned(), &mut bytes)?;
/// assert_eq!(Utf8.decode(&bytes)?, "hot");
/// # Ok::<_, BoxError>(())
/// ```
pub trait Codec<V>: Send + Sync + 'static {
    /// Stands in the envelope, so that bytes of another codec are not decoded.
    fn id(&self) -> u8;

    /// Appends the value's bytes.
    fn encode(&self, value: &V, bytes: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Makes the value from exactly these bytes.
    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError>;
}

/// [postcard](https://docs.rs/postcard), the default: small and fast, not self-describing.
///
/// So a changed type needs a new [`schema`](crate::Builder::schema) number, and
/// serde attributes that need self-description (`untagged`, `flatten`,
/// `skip_serializing_if`) do not work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

impl<V: Serialize + DeserializeOwned> Codec<V> for Postcard {
    fn id(&self) -> u8 {
        1
    }

    fn encode(&self, value: &V, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        let taken = std::mem::take(bytes);
        *bytes = postcard::to_extend(value, taken)?;
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError> {
        let (value, rest) = postcard::take_from_bytes(bytes)?;
        if rest.is_empty() {
            Ok(value)
        } else {
            Err(format!("{} bytes left over", rest.len()).into())
        }
    }
}

/// JSON, for stores that people or other languages read. Feature `json`.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[cfg(feature = "json")]
impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn id(&self) -> u8 {
        2
    }

    fn encode(&self, value: &V, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(bytes, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
