//! lookahead.
