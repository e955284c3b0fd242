//! A connection while one asks on it: what it answers also tells what became of it.

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, aio::MultiplexedConnection};

use super::link::{Link, Live, to_error};
use crate::error::Error;

/// The same server from the first question to the last.
pub(super) struct Line<'a> {
    link: &'a Link,
    live: Live,
}

impl<'a> Line<'a> {
    /// Waits while a connection is being made.
    pub(super) async fn open(link: &'a Link) -> Result<Self, Error> {
        let live = link.live().await?;
        Ok(Self { link, live })
    }

    pub(super) async fn send<T: FromRedisValue>(
        &mut self,
        attempt: &str,
        command: Cmd,
    ) -> Result<T, Error> {
        let reply = command.query_async(self.connection()).await;
        self.settle(attempt, reply)
    }

    pub(super) async fn send_all<T: FromRedisValue>(
        &mut self,
        attempt: &str,
        commands: Pipeline,
    ) -> Result<T, Error> {
        let reply = commands.query_async(self.connection()).await;
        self.settle(attempt, reply)
    }

    /// For whoever asks in their own way, and [settles](Self::settle) what came of it.
    pub(super) fn connection(&mut self) -> &mut MultiplexedConnection {
        self.live.connection()
    }

    pub(super) fn live(&mut self) -> &mut Live {
        &mut self.live
    }

    pub(super) fn settle<T>(
        &self,
        attempt: &str,
        reply: Result<T, RedisError>,
    ) -> Result<T, Error> {
        self.link.report(&self.live, &reply);
        reply.map_err(|error| to_error(attempt, error))
    }

    /// It is not what it should be: another takes its place.
    pub(super) fn replace(self) {
        self.link.replace(&self.live);
    }
}
