//! Filters on whole messages.
