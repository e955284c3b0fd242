//! The protocol between caches and their store, as a model that is searched exhaustively.
