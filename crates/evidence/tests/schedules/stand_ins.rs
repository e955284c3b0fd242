//! The little that the explored files need of rooms which are not explored.

pub(crate) mod envelope {
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Token;
}

pub(crate) mod error {
    #[derive(Debug)]
    pub(crate) struct Error;

    impl Error {
        pub(crate) fn invalid_key(_attempt: impl Into<String>) -> Self {
            Self
        }
    }
}

pub(crate) mod options {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Coherence {
        Available,
        Required,
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Life {
        pub(crate) fresh: u64,
        pub(crate) revalidate: u64,
        pub(crate) on_error: u64,
    }

    impl Life {
        pub(crate) fn total(&self) -> u64 {
            self.fresh
        }
    }
}
